//! What the tests stand on: real peers and helpers, never mocks of our own code.

#[allow(dead_code, unused_imports)]
pub(crate) mod peers;
