//! One integration binary: a file per promise.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes what it likes into its temporary folder"
)]

mod amended;
mod audit;
mod browser;
mod browser_content;
mod browser_desk;
mod browser_looks;
mod browser_migration;
mod browser_ohif;
mod browser_people;
mod chaos;
mod cli;
mod commitment;
mod console;
mod console_api;
mod console_content;
mod console_content_whole;
mod console_jobs;
mod console_oidc;
mod console_previews;
mod console_quarantine;
mod console_users;
mod console_worklist;
mod decoding;
mod demo;
mod dicomweb;
mod dicomweb_damaged;
mod dicomweb_rendered;
mod dicomweb_store;
mod dicomweb_union;
mod documents;
mod enumerate;
mod full;
mod guide_curl;
mod headers;
mod import;
mod import_jobs;
mod import_links;
mod import_odd;
mod import_place;
#[cfg(feature = "failpoints")]
mod kill;
#[cfg(feature = "failpoints")]
mod kill_import;
#[cfg(feature = "failpoints")]
mod kill_reallocate;
mod limits;
mod lost;
mod outbox;
mod outbox_corrections;
mod peers;
mod pictures;
mod priors;
mod quarantine;
mod reallocate;
mod reallocate_cases;
mod reallocate_commands;
mod reallocate_iocm;
mod reallocate_meanwhile;
mod reallocate_patients;
mod reallocate_reports;
mod resume;
mod retrieve;
mod scale;
mod scale_find;
mod serve;
mod serve_find;
mod serve_retrieve;
mod serve_retrieve_odd;
mod soak;
mod strangers;
mod support;
mod tidy;
mod tls;
mod union;
mod union_series;
mod union_soak;
mod union_stream;
mod unwritable;
