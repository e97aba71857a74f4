//! `Retry-After`: how long an answer asks to wait (RFC 9110, section 10.2.3).
//!
//! Seconds are taken as they are. A date is taken against the answer's own `Date`, so the provider's clock is compared with
//! itself and never with ours; without a `Date` it says nothing. What cannot be read asks for nothing: whoever waits then
//! has a pause of their own. How much of it is believed is not decided here.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// The three forms of an HTTP date (RFC 9110, section 5.6.7), all in UTC: the one that is sent, and two that must be read.
const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// How long an answer with these headers asks to wait. Of several that can be read the longest counts: none of them is passed over.
#[must_use]
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    let mut dates = texts(headers, DATE);
    // Two of them name two instants: none is known.
    let now = dates.next().filter(|_| dates.next().is_none()).and_then(instant);
    texts(headers, RETRY_AFTER).filter_map(|text| seconds(text).or_else(|| time_until(text, now?))).max()
}

fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).map(str::trim)
}

/// Digits and nothing else; more than fit are as good as for ever.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

/// Nothing for a date that is past.
fn time_until(text: &str, now: DateTime) -> Option<Duration> {
    Some(Duration::try_from(instant(text)?.duration_since(now)).unwrap_or(Duration::ZERO))
}

fn instant(text: &str) -> Option<DateTime> {
    FORMS.iter().find_map(|form| strtime::parse(form, text).ok())?.to_datetime().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    const NOW: &str = "Fri, 20 Nov 2026 12:00:00 GMT";

    fn asked(dates: &[&str], retry_after: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, texts) in [(DATE, dates), (RETRY_AFTER, retry_after)] {
            for text in texts {
                headers.append(&name, HeaderValue::from_str(text).expect("a header"));
            }
        }
        read(&headers).map(|asked| asked.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read_and_junk_asks_for_nothing() {
        for (retry_after, expected) in [
            (&["5"][..], Some(5)),
            (&[" 7 "], Some(7)),
            (&["0"], Some(0)),
            (&["1000000000000"], Some(1_000_000_000_000)),
            (&["100000000000000000000000000"], Some(u64::MAX)),
            (&["Fri, 20 Nov 2026 12:00:06 GMT"], Some(6)),
            (&["Friday, 20-Nov-26 12:00:06 GMT"], Some(6)),
            (&["Fri Nov 20 12:00:06 2026"], Some(6)),
            (&["Tue Dec  1 12:00:00 2026"], Some(11 * 86_400)),
            (&["Fri, 20 Nov 2026 11:59:59 GMT"], Some(0)),
            (&["Sun, 06 Nov 1994 08:49:37 GMT"], Some(0)),
            (&["Fri, 31 Dec 9999 23:59:59 GMT"], Some(251_607_124_799)),
            (&["-1"], None),
            (&["+5"], None),
            (&["1e12"], None),
            (&["5.0"], None),
            (&["5 s"], None),
            (&["soon"], None),
            (&[""], None),
            (&["Fri, 32 Nov 2026 12:00:06 GMT"], None),
            (&["Fri, 20 Nov 2026 12:00:06"], None),
            (&["2026-11-20T12:00:06Z"], None),
            (&[], None),
            (&["5", "5"], Some(5)),
            (&["5", "60"], Some(60)),
            (&["soon", "5"], Some(5)),
            (&["5", "Fri, 20 Nov 2026 12:00:06 GMT"], Some(6)),
        ] {
            assert_eq!(asked(&[NOW], retry_after), expected, "{retry_after:?}");
        }
    }

    #[test]
    fn a_date_is_taken_against_the_answers_own_clock_only() {
        let later = "Fri, 20 Nov 2026 12:00:06 GMT";
        for (dates, expected) in [
            (&[NOW][..], Some(6)),
            // Wherever the provider's clock stands.
            (&["Fri, 20 Nov 2026 11:00:06 GMT"], Some(3600)),
            (&["Friday, 20-Nov-26 12:00:00 GMT"], Some(6)),
            (&[], None),
            (&["now"], None),
            (&[NOW, "Fri, 20 Nov 2026 12:00:05 GMT"], None),
        ] {
            assert_eq!(asked(dates, &[later]), expected, "{dates:?}");
        }
        assert_eq!(asked(&[], &["5"]), Some(5), "seconds need no clock");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_left(dates in "[ -~]{0,40}", retry_after in "[ -~]{0,40}") {
            asked(&[&dates], &[&retry_after]);
        }
    }
}
