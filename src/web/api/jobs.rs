//! Operations on jobs, and on folders that are imported.

use super::Kind::{Day, Number, Text, Word};
use super::{Field, Operation, get, may, must, post};
use crate::config::Privilege::{Operate, View};
use crate::web::{folders, jobs, nodes, pictures, priors};

const WISHES: &[&str] = &["pause", "resume", "cancel", "retry", "repeat", "exclude", "approve", "slow", "full"];

/// Which part of a report.
const REPORTED: &[Field] = &[
    may("state", Text, "`fallout` (also where it is left out), `all`, or a state"),
    may("reason", Text, "what fell out for this reason"),
    may("year", Text, "studies of this year"),
    may("modality", Text, "studies with this modality"),
    may("text", Text, "what stands in names, ids or UIDs"),
    may("after", Text, "`next` of the page before"),
];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/api/v1/jobs", jobs::list_json)
            .does("Jobs", "All jobs, as `pacsferry jobs --json`", Some(View))
            .answers(200, "Jobs"),
        post("/api/v1/jobs", jobs::create_json)
            .does(
                "Jobs",
                "Starts a migration, or goes on with the unfinished one that was asked for the same",
                Some(Operate),
            )
            .takes([
                must("source", Text, "the name of a `[[source]]`"),
                may("from", Day, "studies of this day and later"),
                may("to", Day, "studies of this day and earlier"),
            ])
            .answers(201, "Job"),
        get("/api/v1/jobs/{id}", jobs::show_json)
            .does("Jobs", "A job, and what is being done", Some(View))
            .answers(200, "Job"),
        post("/api/v1/jobs/{id}", jobs::act::act_json)
            .does("Jobs", "What an operator may want of a job, its studies, or its source", Some(Operate))
            .takes([
                must("action", Word(WISHES), "what is to be done"),
                may("reason", Text, "`retry`: only what fell out for this reason"),
                may("study", Text, "`retry`, `exclude`, `approve`: this study"),
                may("why", Text, "`exclude`, `approve`: why"),
                may("rate", Text, "`slow`: `5 MB/s`; half of the present pace where it is left out"),
                may("for", Text, "`slow`: how long, `30m`; an hour where it is left out"),
            ])
            .answers(200, "Job"),
        get("/api/v1/jobs/{id}/studies", jobs::report::studies_json)
            .does("Jobs", "Studies of the report, fifty at a time", Some(View))
            .asks(REPORTED)
            .answers(200, "JobStudies"),
        get("/api/v1/jobs/{id}/folders", jobs::report::folders_json)
            .does("Jobs", "Folders of the report of an import, fifty at a time", Some(View))
            .asks(REPORTED)
            .answers(200, "JobFolders"),
        get("/api/v1/jobs/{id}/reasons", jobs::report::reasons_json)
            .does("Jobs", "How many studies fell out for which reason, and what to do", Some(View))
            .answers(200, "Reasons"),
        get("/api/v1/jobs/{id}/days", pictures::days_json)
            .does("Jobs", "Studies by month, and by day of a year, by what has become of them", Some(View))
            .asks([may("year", Text, "the year of the days; where it is left out, the one at which the job is")])
            .answers(200, "Days"),
        get("/api/v1/jobs/{id}/pace", pictures::pace_json)
            .does("Jobs", "What arrived over time, how much was asked of the source, and the limits", Some(View))
            .asks([may("span", Word(&["minutes", "hours"]), "how finely; minutes where it is left out")])
            .answers(200, "Pace"),
        get("/api/v1/nodes", nodes::show_json)
            .does("Nodes", "The sources and the peers of the configuration", Some(View))
            .answers(200, "Nodes"),
        post("/api/v1/nodes/test", nodes::test_json)
            .does("Nodes", "C-ECHO to a node, what it accepts, and whether it has reached us back", Some(Operate))
            .takes([
                may("source", Text, "the name of a `[[source]]`"),
                may("peer", Text, "or the AE title of a `[[peer]]`"),
            ])
            .answers(200, "Tested"),
        get("/api/v1/priors", priors::show_json)
            .does("Priors", "How ready the studies of those who are expected are, fifty patients at a time", Some(View))
            .asks([may("after", Number, "`next` of the page before")])
            .answers(200, "Priors"),
        post("/api/v1/priors", priors::act_json)
            .does("Priors", "Puts the studies of those who are expected at the head of the queue", Some(Operate))
            .takes([
                may("worklist", Text, "the `[[source]]` whose Modality Worklist names the patients"),
                may("days", Text, "days of the worklist after today; 1 where it is left out"),
                may("list", Text, "or Patient IDs, one a line, as `pacsferry priors --csv` takes them"),
                may("prior_months", Text, "only studies of so many months"),
            ])
            .answers(200, "Prepared"),
        post("/api/v1/worker", jobs::act::close_json)
            .does("Jobs", "Pauses whatever runs, and ends the worker", Some(Operate))
            .answers(200, "Paused"),
        get("/api/v1/folders", folders::list_json)
            .does("Jobs", "The folders in a folder of the server, below the roots of `[web] browse`", Some(Operate))
            .asks([may("path", Text, "the folder; without it the roots are listed")])
            .answers(200, "Folders"),
        post("/api/v1/imports", folders::create_json)
            .does("Jobs", "Imports a folder of the server", Some(Operate))
            .takes([
                must("folder", Text, "below a root of `[web] browse`"),
                must("how", Word(&["copy", "link", "link-only"]), "what becomes of the files"),
                may("hash", Word(&["", "yes"]), "linked files are read to the end, and their checksums kept"),
                may("from", Day, "studies of this day and later"),
                may("to", Day, "studies of this day and earlier"),
            ])
            .answers(201, "Started"),
    ]
}
