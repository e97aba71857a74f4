//! Tenants against each other: what is not yours answers exactly like what is not there, and nothing of it is told,
//! found or changed.
//!
//! Operations come from the served document, so a route that is added is in the matrix by itself. What another tenant
//! owns is planted with words that stand nowhere else: an answer that holds one of them has leaked.

mod admin;

mod answers;

mod estate;

mod lists;

mod matrix;

mod names;

mod revocation;
