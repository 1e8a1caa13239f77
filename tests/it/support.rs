//! What the tests stand on: real peers and helpers, never mocks of our own code.

pub(crate) mod peers;
