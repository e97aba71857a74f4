//! Who did what: written in the statement that does it.

/// An act of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Who: the kind of credential, never the credential.
    pub actor: &'a str,
    /// What: `workspace.create`.
    pub name: &'a str,
}
