//! A page of the ledger: the query that selects it and its JSON form.
//!
//! `messageId`, `path` and `to` select requests; the counts and duplicates speak of all selected
//! ones. `after` and `limit` only say which of them are listed.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::ledger::{Entry, Record};
use crate::settings::digits;

/// Entries of a page unless the query says otherwise.
const ENTRIES_DEFAULT: usize = 1_000;
/// Most entries of a page.
const ENTRIES_MAX: usize = 100_000;

/// Which requests to show.
#[derive(Debug)]
pub(crate) struct Selection {
    message_id: Option<String>,
    path: Option<String>,
    to: Option<String>,
    after: u64,
    limit: usize,
}

/// The answer to a selection.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    /// Requests selected.
    total: usize,
    /// Those of them that caused a message to be delivered.
    accepted: usize,
    /// Ids that more than one of them carries.
    duplicates: Vec<Duplicate>,
    /// Entries the ledger dropped since the last reset, selected or not.
    dropped: u64,
    /// Whether there are more entries after the last listed one.
    more: bool,
    entries: Vec<Entry>,
}

/// An id that came more than once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Duplicate {
    message_id: String,
    /// Requests with it.
    count: usize,
    /// Messages it caused.
    accepted: usize,
}

impl Selection {
    /// Reads a query string; the error names what is wrong with it.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let mut selection = Self { message_id: None, path: None, to: None, after: 0, limit: ENTRIES_DEFAULT };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value).ok_or_else(|| format!("{name}: bad percent-encoding"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{name}: expected a whole number"));
            match name {
                "messageId" => selection.message_id = Some(value),
                "path" => selection.path = Some(value),
                "to" => selection.to = Some(digits(value.trim()).to_owned()),
                "after" => selection.after = number()?,
                "limit" => selection.limit = usize::try_from(number()?).unwrap_or(usize::MAX),
                _ => {
                    return Err(format!("{name}: unknown; expected messageId, path, to, after or limit"));
                }
            }
        }
        if selection.limit > ENTRIES_MAX {
            return Err(format!("limit: at most {ENTRIES_MAX}"));
        }
        Ok(selection)
    }

    /// The page of these records, of which `dropped` are missing.
    pub(crate) fn page(&self, records: &[Arc<Record>], dropped: u64) -> Page {
        let selected: Vec<&Record> = records.iter().map(AsRef::as_ref).filter(|record| self.selects(record)).collect();
        let start = selected.partition_point(|record| record.seq <= self.after);
        let listed = selected[start..].iter().take(self.limit);
        Page {
            total: selected.len(),
            accepted: selected.iter().filter(|record| record.accepted).count(),
            duplicates: duplicates(&selected),
            dropped,
            more: selected.len() - start > self.limit,
            entries: listed.map(|record| record.entry()).collect(),
        }
    }

    fn selects(&self, record: &Record) -> bool {
        let id = self.message_id.is_none() || self.message_id == record.message_id;
        let path = self.path.as_ref().is_none_or(|path| *path == record.path);
        let to = self.to.is_none() || self.to == record.to;
        id && path && to
    }
}

fn duplicates(records: &[&Record]) -> Vec<Duplicate> {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for record in records {
        if let Some(id) = &record.message_id {
            let (count, accepted) = counts.entry(id).or_default();
            *count += 1;
            *accepted += usize::from(record.accepted);
        }
    }
    let repeated = counts.into_iter().filter(|(_, (count, _))| *count > 1);
    let mut duplicates: Vec<_> =
        repeated.map(|(id, (count, accepted))| Duplicate { message_id: id.to_owned(), count, accepted }).collect();
    duplicates.sort_by(|one, other| one.message_id.cmp(&other.message_id));
    duplicates
}

/// Undoes percent-encoding and `+` for a space; `None` if it is broken.
fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_or_refused_with_the_name_of_the_field() {
        let selection = Selection::parse("path=%2Fapi%2fv1&to=%2B254700000000&limit=5&after=7").expect("a selection");
        assert_eq!(selection.path.as_deref(), Some("/api/v1"));
        assert_eq!(selection.to.as_deref(), Some("254700000000"));
        assert_eq!((selection.limit, selection.after), (5, 7));
        for (query, field) in [("limit=x", "limit"), ("limit=100001", "limit"), ("to=%2", "to"), ("form=1", "form")] {
            let error = Selection::parse(query).unwrap_err();
            assert!(error.starts_with(field), "{query}: {error}");
        }
    }
}
