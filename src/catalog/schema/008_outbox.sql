-- The retrieve log: which nodes got objects of which series. Series rows are what was shown, so that this says under which
-- study and UIDs they left; `correction` is the operation under whose identity, 0 as they were filed. Times are the first
-- and the last; `instances` counts what was sent again, too.
CREATE TABLE departures (
    series     INTEGER NOT NULL REFERENCES series (id),
    peer       TEXT NOT NULL,
    correction INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    instances  INTEGER NOT NULL,
    PRIMARY KEY (series, peer, correction)
) STRICT, WITHOUT ROWID;

-- What others have to be told, until they know. `kind`: 0 a rescan that the AI platform is asked for, 1 objects that a node
-- is sent. `lane` is to whom: the AE title of the node, '' for the AI platform. `state`: 0 waiting, 1 done, 2 failed,
-- 3 withdrawn. `operation` is the correction that it follows from; none where it was asked for by hand.
-- Of a publication `objects` lists what goes before the objects of the operation (a JSON array of instances), `position` is
-- how many have been tried, `refused` lists those that were not taken, and `passes` is how often all was tried.
CREATE TABLE outbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      INTEGER NOT NULL,
    lane      TEXT NOT NULL,
    operation INTEGER,
    study     TEXT NOT NULL,
    reason    TEXT NOT NULL,
    objects   TEXT NOT NULL DEFAULT '[]',
    position  INTEGER NOT NULL DEFAULT 0,
    sent      INTEGER NOT NULL DEFAULT 0,
    refused   TEXT NOT NULL DEFAULT '[]',
    passes    INTEGER NOT NULL DEFAULT 0,
    state     INTEGER NOT NULL DEFAULT 0,
    attempts  INTEGER NOT NULL DEFAULT 0,
    at        INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    ended     INTEGER,
    detail    TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX outbox_due ON outbox (due) WHERE state = 0;
CREATE INDEX outbox_failed ON outbox (kind) WHERE state = 2;
CREATE INDEX outbox_study ON outbox (study);
CREATE INDEX outbox_operation ON outbox (operation) WHERE operation IS NOT NULL;
