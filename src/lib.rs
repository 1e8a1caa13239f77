//! pacsferry carries every study of an old PACS into a new archive over DICOM networking, newest first,
//! and can show at any moment, object by object, what has arrived.
//!
//! # The map
//!
//! A module may name only modules on earlier lines; neighbours on a line never name each other. A test
//! (`tests/it/tidy.rs`) reads this block and holds the tree against it.
//!
//! ```layers
//! dicom failpoint
//! dataset object config
//! db store assoc
//! dimse catalog
//! intake outlet audit guide
//! scu picture
//! scp import outbox
//! content
//! job dicomweb
//! web sample
//! node
//! cli
//! ```
//!
//! | module | owns | must never know |
//! |---|---|---|
//! | [`dicom`] | words and their rules | that files or sockets exist |
//! | [`dataset`] | elements, bounds, texts | files, sockets, what an attribute is for |
//! | [`object`] | how an instance travels | where it comes from or goes |
//! | [`config`] | the one TOML file, checked | that anything runs |
//! | [`db`] | connections, transactions, versions | any table |
//! | [`store`] | everything under the storage folder | SQL, peers, jobs |
//! | [`assoc`] | PDUs, negotiation, timeouts | DIMSE, pixels |
//! | [`dimse`] | command sets and assembly | which service is being run |
//! | [`catalog`] | every table and every statement | protocols, files, decisions |
//! | [`intake`] | the order incoming → durable → recorded | who sends or asks |
//! | [`outlet`] | the order instance → corrections → encoding → stream | who asks |
//! | [`audit`] | what the audit trail says, and to whom it is sent | services, sockets to peers |
//! | [`guide`] | the texts of the manual | who shows them, and how |
//! | [`picture`] | frames as PNG or JPEG, and objects with decoded frames, by processes of their own | who asks |
//! | [`scu`], [`scp`] | one service each, as protocol | jobs |
//! | [`content`] | corrections as intent: plan, commit, undo | SQL, protocols, HTML |
//! | [`job`] | intent, attempts, verdicts | PDUs, paths, HTML |
//! | [`dicomweb`] | QIDO, WADO and STOW, as protocol | who is signed in, jobs |
//! | [`outbox`] | telling others what was corrected, until they know | what a correction is |
//! | [`import`] | what lies in folders of files, and which of it is DICOM | jobs |
//! | [`sample`] | a generated archive behind a small PACS that can be told to misbehave (the demo, the tests) | the catalog |
//! | [`web`] | HTTP: the console, its JSON, metrics and health | SQL, sockets to peers |
//! | [`node`] | tasks and their order | protocol details |
//! | [`cli`] | one file a command | how anything is done |
//!
//! # The way of the data
//!
//! `association → ObjectStream → intake → store → catalog`. Commands go the other way and are always calls
//! downwards: `cli` tells `node`, `node` runs `job`, `job` calls `scu`, `scu` opens an `assoc`. The C-MOVE answer
//! and the objects that it causes arrive on different associations and meet only in the catalog.
//!
//! # Invariants
//!
//! - **I1. Counted means durable.** An instance row exists only when its bytes are synced under their final name.
//! - **I2. Bytes are never re-encoded.** The data set is filed verbatim behind a File Meta group that we write.
//! - **I3. Filed objects are write-once.**
//! - **I4. Nothing is refused that can be kept.** What cannot be filed goes to quarantine with its reason.
//! - **I5. Progress is a query, never a counter.**
//! - **I6. Everything has a bound**: queues, associations, lengths, nesting, attempts, waits, batches, disk.
//! - **I7. `kill -9` is a supported shutdown.**
//! - **I8. No peer's string becomes a path, a query or markup** without a newtype, a bound parameter or an escape.
//! - **I9. One owner per resource.** SQL in `db` and `catalog`; files in `store`; PDUs in `assoc`.
//! - **I10. No patient data in logs.** UIDs, AE titles, counts and durations yes; names, ids and birth dates no.

pub mod assoc;
pub mod audit;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod content;
pub mod dataset;
pub mod db;
pub mod dicom;
pub mod dicomweb;
pub mod dimse;
pub mod failpoint;
pub mod guide;
pub mod import;
pub mod intake;
pub mod job;
pub mod node;
pub mod object;
pub mod outbox;
pub mod outlet;
pub mod picture;
pub mod sample;
pub mod scp;
pub mod scu;
pub mod store;
pub mod web;
