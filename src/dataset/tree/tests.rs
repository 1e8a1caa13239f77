//! What is read is what is written, and nothing is unbounded.
