//! What is amended, and that nothing else is.
