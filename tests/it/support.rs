//! What the tests stand on: real peers and helpers, never mocks of our own code.

pub(crate) mod certificates;
pub(crate) mod chaos;
pub(crate) mod chromium;
pub(crate) mod collector;
pub(crate) mod console;
pub(crate) mod destination;
pub(crate) mod dicomweb;
pub(crate) mod medium;
pub(crate) mod peers;
pub(crate) mod platform;
pub(crate) mod provider;
pub(crate) mod running;
pub(crate) mod scene;
pub(crate) mod viewer;
pub(crate) mod ward;
pub(crate) mod website;
pub(crate) mod wire;
