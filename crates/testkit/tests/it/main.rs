//! The test kit's own tests, in one binary.

mod tidy;
