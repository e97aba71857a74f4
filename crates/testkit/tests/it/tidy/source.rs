//! The repository as text and tokens.
//!
//! Tokens rather than a syntax tree, because most of what the checkers look for (SQL, calls,
//! functions of property tests) also hides inside macros, which a syntax tree leaves unread.
//! Doc comments are dropped: prose may name anything.

use std::{fs, path::Path};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Larger files are data.
const FILE_BYTES_MAX: u64 = 2_000_000;

/// Hidden folders that belong to the repository; all others are somebody's tools.
const HIDDEN_FOLDERS_READ: &[&str] = &[".ci"];

/// One text file.
pub(super) struct Source {
    /// From the repository's root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// Empty unless the file is Rust.
    pub(super) tokens: Vec<Token>,
}

/// One token; groups are flattened into their two delimiters.
pub(super) struct Token {
    pub(super) kind: Kind,
    /// A word, a mark, a delimiter as written; of a string its value.
    pub(super) text: String,
    pub(super) line: usize,
    /// Under `#[cfg(test)]` or `#[test]`.
    pub(super) in_test: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Word,
    Mark,
    String,
    /// A number or a character.
    Literal,
    /// The index of the token that closes the group.
    Open {
        close: usize,
    },
    Close,
}

impl Source {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let mut tokens = Vec::new();
        if path.ends_with(".rs") {
            let stream = text.parse::<TokenStream>().map_err(|error| format!("{path}: {error}"));
            flatten(stream.expect("every Rust file of the repository is Rust"), false, &mut tokens);
        }
        Self { path, text, tokens }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The crate the file is of.
    pub(super) fn crate_name(&self) -> Option<&str> {
        let (name, _) = self.path.strip_prefix("crates/")?.split_once('/')?;
        Some(name)
    }

    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        let mut folders = self.path.split('/');
        let file = folders.next_back().unwrap_or_default();
        file == "tests.rs" || folders.any(|folder| folder == "tests" || folder == "benches")
    }

    /// Index and token, of those that are words.
    pub(super) fn words(&self) -> impl Iterator<Item = (usize, &Token)> {
        self.tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Word)
    }

    /// Whether the tokens from `index` on read as `texts`.
    pub(super) fn reads(&self, index: usize, texts: &[&str]) -> bool {
        let rest = self.tokens.get(index..).unwrap_or_default();
        rest.len() >= texts.len() && texts.iter().zip(rest).all(|(text, token)| token.text == *text)
    }

    /// Index of the token that closes the group opened at `index`.
    pub(super) fn close_of(&self, index: usize) -> Option<usize> {
        match self.tokens.get(index)?.kind {
            Kind::Open { close } => Some(close),
            Kind::Word | Kind::Mark | Kind::String | Kind::Literal | Kind::Close => None,
        }
    }

    /// A breach at a line.
    pub(super) fn breach(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Every text file of the repository, in order of path.
pub(super) fn read_tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = Vec::new();
    read_folder(&root, "", &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn read_folder(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be listed") {
        let entry = entry.expect("an entry of the repository can be listed");
        let kind = entry.file_type().expect("an entry of the repository has a type");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            let hidden = name.starts_with('.') && !HIDDEN_FOLDERS_READ.contains(&name.as_str());
            if !hidden && name != "target" {
                read_folder(&entry.path(), &format!("{path}/"), sources);
            }
        } else if kind.is_file()
            && entry.metadata().is_ok_and(|data| data.len() <= FILE_BYTES_MAX)
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            sources.push(Source::new(path, text));
        }
    }
}

fn flatten(stream: TokenStream, mut whole_is_test: bool, out: &mut Vec<Token>) {
    let mut in_test = whole_is_test;
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        let (kind, text, ends_item) = match tree {
            TokenTree::Ident(word) => (Kind::Word, word.to_string(), false),
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                let inner = trees.next_if(is_exclamation).is_some();
                match trees.next_if(is_bracketed) {
                    Some(TokenTree::Group(attribute)) if is_doc(&attribute) => continue,
                    Some(TokenTree::Group(attribute)) => {
                        in_test |= marks_test(&attribute);
                        whole_is_test |= inner && in_test;
                        let flag = if inner { "#!" } else { "#" };
                        push(out, Kind::Mark, flag, line, in_test);
                        push_group(&attribute, in_test, out);
                        continue;
                    }
                    Some(_) | None => (Kind::Mark, "#".to_owned(), false),
                }
            }
            TokenTree::Punct(mark) => (Kind::Mark, mark.to_string(), mark.as_char() == ';'),
            TokenTree::Literal(literal) => {
                if let syn::Lit::Str(string) = syn::Lit::new(literal.clone()) {
                    (Kind::String, string.value(), false)
                } else {
                    (Kind::Literal, literal.to_string(), false)
                }
            }
            TokenTree::Group(group) => {
                push_group(&group, in_test, out);
                if group.delimiter() == Delimiter::Brace {
                    in_test = whole_is_test;
                }
                continue;
            }
        };
        push(out, kind, &text, line, in_test);
        if ends_item {
            in_test = whole_is_test;
        }
    }
}

fn push(out: &mut Vec<Token>, kind: Kind, text: &str, line: usize, in_test: bool) {
    out.push(Token { kind, text: text.to_owned(), line, in_test });
}

fn push_group(group: &Group, in_test: bool, out: &mut Vec<Token>) {
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    };
    let index = out.len();
    push(out, Kind::Close, open, group.span_open().start().line, in_test);
    flatten(group.stream(), in_test, out);
    let closing = out.len();
    push(out, Kind::Close, close, group.span_close().end().line, in_test);
    if let Some(opening) = out.get_mut(index) {
        opening.kind = Kind::Open { close: closing };
    }
}

fn is_exclamation(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Punct(mark) if mark.as_char() == '!')
}

fn is_bracketed(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

fn is_doc(attribute: &Group) -> bool {
    attribute.stream().to_string().starts_with("doc =")
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`, `#[cfg(all(test, …))]`; not `#[cfg(not(test))]`.
fn marks_test(attribute: &Group) -> bool {
    let mut tokens = Vec::new();
    flatten(attribute.stream(), false, &mut tokens);
    let has = |word: &str| tokens.iter().any(|t| t.kind == Kind::Word && t.text == word);
    has("test") && !has("not") && !has("cfg_attr")
}

#[test]
fn tokens_know_their_line_group_and_whether_they_are_test_code() {
    let text = "//! Doc.\nfn a() {}\n#[cfg(test)]\nmod tests { x!(\"\\u{61}\\\n  b\"); }\nfn c() {}\n";
    let source = Source::new("crates/store/src/a.rs", text);
    let of = |text: &str| source.tokens.iter().find(|token| token.text == text);
    assert!(source.tokens.iter().all(|token| token.text != "doc"));
    assert!(of("ab").is_some_and(|t| t.kind == Kind::String && t.in_test && t.line == 4));
    assert!(of("c").is_some_and(|t| t.kind == Kind::Word && !t.in_test && t.line == 6));
    assert_eq!(source.crate_name(), Some("store"));
    let whole = Source::new("a.rs", "#![cfg(test)]\nfn a() {}\n#[cfg(not(test))] fn b() {}");
    assert!(whole.tokens.iter().all(|token| token.in_test));
    let open = source.tokens.iter().position(|token| token.text == "(");
    assert_eq!(open.and_then(|index| source.close_of(index)), open.map(|index| index + 1));
}

#[test]
fn folders_and_files_of_tests_are_told_by_their_path() {
    let is_test = |path: &str| Source::new(path, "").is_test();
    assert!(is_test("crates/api/tests/it/main.rs") && is_test("crates/api/src/wire/tests.rs"));
    assert!(!is_test("crates/testkit/src/lib.rs") && !is_test("crates/api/src/contests.rs"));
}
