//! Time zones of a telephone number, by its prefix.
//!
//! A prefix stands for all zones it may be in: a mobile number of a country with several zones is in any of them, an area code
//! in those of its state or province. Who must not be woken is then asked in all of them. Numbers move and people travel; the
//! prefix is what there is.

mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::phone::PhoneNumber;

/// The digits of the longest prefix in the table.
static PREFIX_DIGITS_MAX: LazyLock<usize> =
    LazyLock::new(|| ZONES.keys().map(|prefix| prefix.len()).max().unwrap_or(0));

static ZONES: LazyLock<HashMap<&str, &[&str]>> = LazyLock::new(|| {
    let rows =
        table::ROWS.iter().flat_map(|(zones, prefixes)| prefixes.split_ascii_whitespace().map(move |p| (p, *zones)));
    rows.collect()
});

/// IANA names of all zones that a number may be in; empty where none is known, as for numbers of no country.
#[must_use]
pub fn zones(number: &PhoneNumber) -> &'static [&'static str] {
    zones_of(number.digits())
}

fn zones_of(digits: &str) -> &'static [&'static str] {
    if let Some(rest) = digits.strip_prefix("521") {
        // Mexico's mobile numbers had a 1 before the area code until 2019, and WhatsApp still knows them by it.
        return by_longest_prefix(&format!("52{rest}"));
    }
    by_longest_prefix(digits)
}

fn by_longest_prefix(digits: &str) -> &'static [&'static str] {
    let lengths = (1..=digits.len().min(*PREFIX_DIGITS_MAX)).rev();
    lengths.filter_map(|length| digits.get(..length)).find_map(|prefix| ZONES.get(prefix)).copied().unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::quiet_hours::Zone;

    fn check(number: &str, expected: &[&str]) {
        let number = PhoneNumber::parse(number).expect("a number");
        assert_eq!(zones(&number), expected, "{number:?}");
    }

    #[test]
    fn the_zones_of_a_number_follow_from_its_prefix() {
        check("+254712345678", &["Africa/Nairobi"]);
        check("+256712345678", &["Africa/Kampala"]);
        check("+255712345678", &["Africa/Dar_es_Salaam"]);
        check("+250788123456", &["Africa/Kigali"]);
        check("+251911234567", &["Africa/Addis_Ababa"]);
        check("+27821234567", &["Africa/Johannesburg"]);
        check("+2348031234567", &["Africa/Lagos"]);
        check("+243812345678", &["Africa/Kinshasa", "Africa/Lubumbashi"]);
        check("+447700900123", &["Europe/London"]);
        check("+4915550100001", &["Europe/Berlin"]);
        check("+33612345678", &["Europe/Paris"]);
        check("+262692123456", &["Indian/Reunion", "Indian/Mayotte"]);
        check("+919876543210", &["Asia/Kolkata"]);
        check("+77011234567", &["Asia/Almaty"]);
        check("+68672001234", &["Pacific/Tarawa", "Pacific/Kanton", "Pacific/Kiritimati"]);
        check("+14165550123", &["America/Toronto"]);
        check("+12125550123", &["America/New_York"]);
        check("+13125550123", &["America/Chicago"]);
        check("+18505550123", &["America/New_York", "America/Chicago"]);
        check("+18085550123", &["Pacific/Honolulu"]);
        check("+19285550123", &["America/Phoenix", "America/Denver"]);
        check("+18765550123", &["America/Jamaica"]);
        check("+16715550123", &["Pacific/Guam"]);
        check("+5511987654321", &["America/Sao_Paulo"]);
        check("+5568987654321", &["America/Rio_Branco"]);
        check("+525512345678", &["America/Mexico_City"]);
        check("+5215512345678", &["America/Mexico_City"]);
        check("+529981234567", &["America/Cancun"]);
        check("+74951234567", &["Europe/Moscow"]);
        check("+61891641234", &["Indian/Christmas"]);
        check("+35812345678", &["Europe/Helsinki"]);
        check("+621112345678", &["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"]);
    }

    #[test]
    fn a_number_that_may_be_anywhere_in_a_country_has_all_its_zones() {
        for (digits, first, last) in [
            ("79161234567", "Europe/Kaliningrad", "Asia/Kamchatka"),
            ("61412345678", "Australia/Lord_Howe", "Australia/Perth"),
            // An area code that nobody has.
            ("15550100123", "America/St_Johns", "Pacific/Honolulu"),
        ] {
            let zones = zones_of(digits);
            assert!(zones.contains(&first) && zones.contains(&last), "{digits}: {zones:?}");
        }
    }

    #[test]
    fn numbers_of_no_country_have_no_zone() {
        for digits in
            ["18005550123", "18885550123", "80012345678", "870773111632", "881612345678", "883510012345678", ""]
        {
            assert!(zones_of(digits).is_empty(), "{digits}");
        }
    }

    #[test]
    fn every_zone_of_the_table_is_known_by_that_name() {
        for name in table::ROWS.iter().flat_map(|(zones, _)| *zones) {
            assert_eq!(Zone::named(name).expect("a zone").name(), *name);
        }
    }

    #[test]
    fn no_prefix_stands_twice_and_no_zone_twice_in_a_row() {
        let mut seen = BTreeSet::new();
        for (zones, prefixes) in table::ROWS {
            assert_eq!(zones.iter().collect::<BTreeSet<_>>().len(), zones.len(), "{zones:?}");
            for prefix in prefixes.split_ascii_whitespace() {
                assert!(prefix.bytes().all(|b| b.is_ascii_digit()), "{prefix}");
                assert!(seen.insert(prefix), "{prefix} stands twice");
            }
        }
        assert!(seen.len() > 600, "{}", seen.len());
    }

    #[test]
    fn every_calling_code_has_zones_or_is_known_to_have_none() {
        for code in 1..=999_u16 {
            if phonenumber::metadata::DATABASE.by_code(&code).is_some() {
                assert!(ZONES.contains_key(&*code.to_string()), "+{code} is not in the table");
            }
        }
    }
}
