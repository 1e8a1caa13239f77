//! The database in a real file: versions, batches, several processes, backups.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::*;

const ONE: &[&str] = &["CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT"];
const TWO: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    "ALTER TABLE t ADD COLUMN more TEXT; CREATE INDEX more ON t(more)",
];

fn insert(tx: &Transaction<'_>, name: &str) -> Result<(), DbError> {
    tx.prepare_cached("INSERT INTO t (name) VALUES (?1)")?.execute([name])?;
    Ok(())
}

fn count(connection: &Connection) -> Result<i64, DbError> {
    Ok(connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)
}

#[test]
fn what_was_written_is_read_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/deep/catalog.db");
    let db = Db::open(&path, ONE).unwrap();
    db.write_blocking(|tx| insert(tx, "a")).unwrap();
    assert_eq!(db.read_blocking(count).unwrap(), 1);
    db.close().unwrap();
    assert!(!path.with_extension("db-wal").exists(), "the last one to close leaves one file");
    let db = Db::open(&path, TWO).unwrap();
    assert_eq!(db.read_blocking(count).unwrap(), 1);
    assert!(db.read_blocking(|c| Ok(c.prepare("SELECT more FROM t").map(drop)?)).is_ok());
}

#[test]
fn a_newer_file_and_a_foreign_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(Db::open(&path, TWO).unwrap());
    assert!(matches!(Db::open(&path, ONE), Err(DbError::Newer { found: 2, known: 1, .. })));
    drop(Db::open(&path, TWO).expect("a refusal changes nothing"));

    let other = folder.path().join("other.db");
    #[expect(clippy::disallowed_methods, reason = "another program's file")]
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(Db::open(&other, ONE), Err(DbError::Foreign { .. })));
    let text = folder.path().join("text.db");
    #[expect(clippy::disallowed_methods, reason = "another program's file")]
    std::fs::write(&text, "this is not a database, whatever its name says. ".repeat(50)).unwrap();
    assert!(matches!(Db::open(&text, ONE), Err(DbError::Damaged(_))));
}

#[test]
fn a_failed_migration_leaves_the_old_version() {
    const BROKEN: &[&str] =
        &["CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT) STRICT", "CREATE TABLE u (a); SELEKT"];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(Db::open(&path, ONE).unwrap());
    assert!(matches!(Db::open(&path, BROKEN), Err(DbError::Migration { version: 2, .. })));
    drop(Db::open(&path, ONE).unwrap());
}

#[test]
fn one_failing_write_of_a_batch_takes_nothing_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("c.db"), ONE).unwrap();
    // The first write holds the thread until the others have queued up behind it.
    let (go, wait) = mpsc::channel::<()>();
    let held = std::thread::spawn({
        let db = db.clone();
        move || {
            db.write_blocking(move |tx| {
                wait.recv().map_err(|_| DbError::Stopped)?;
                insert(tx, "first")
            })
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let results = runtime.block_on(async {
        let write = |name: &'static str, twice: bool| {
            let db = db.clone();
            async move {
                db.write(move |tx| {
                    insert(tx, name)?;
                    if twice { insert(tx, name) } else { Ok(()) }
                })
                .await
            }
        };
        let (a, b, c) = (write("a", false), write("b", true), write("c", false));
        let go = async { go.send(()).unwrap() };
        tokio::join!(a, b, c, go)
    });
    held.join().unwrap().unwrap();
    assert!(results.0.is_ok() && results.1.is_err() && results.2.is_ok());
    let names = db.read_blocking(|c| {
        let mut statement = c.prepare("SELECT name FROM t ORDER BY name")?;
        Ok(statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?)
    });
    assert_eq!(names.unwrap(), ["a", "c", "first"]);
}

#[test]
fn several_that_open_a_new_file_at_once_all_get_it() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let path = &path;
                scope.spawn(move || {
                    let db = Db::open(path, TWO).unwrap();
                    db.write_blocking(move |tx| insert(tx, name)).unwrap();
                });
            }
        });
        assert_eq!(Db::open(&path, TWO).unwrap().read_blocking(count).unwrap(), 4);
    }
}

#[test]
fn several_handles_write_one_file_as_several_processes_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.db");
    let threads: Vec<_> = (0..3)
        .map(|writer| {
            let path = path.clone();
            std::thread::spawn(move || {
                let db = Db::open(&path, TWO).unwrap();
                for n in 0..100 {
                    db.write_blocking(move |tx| insert(tx, &format!("{writer}-{n}"))).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let db = Db::open(&path, TWO).unwrap();
    assert_eq!(db.read_blocking(count).unwrap(), 300);
}

#[test]
fn a_lock_that_is_never_given_back_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.db");
    let db = Db::open(&path, ONE).unwrap();
    let courtesy = courtesy::Courtesy::new(&path).unwrap();
    let other = connect::writer(&path, &courtesy).unwrap();
    let mut mine = connect::writer(&path, &courtesy).unwrap();
    mine.busy_handler(Some(wait::patience(Duration::from_millis(50)))).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = mine.execute_batch("BEGIN IMMEDIATE").map_err(DbError::from);
    assert!(matches!(refused, Err(DbError::Busy(_))), "{refused:?}");
    assert_eq!(refused.unwrap_err().disposition(), crate::object::Disposition::Retry);
    assert_eq!(db.read_blocking(count).unwrap(), 0, "readers do not wait for writers");
    other.execute_batch("ROLLBACK").unwrap();
    mine.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
}

#[test]
fn readers_cannot_write_and_see_one_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("c.db"), ONE).unwrap();
    assert!(db.read_blocking(|c| Ok(c.execute("INSERT INTO t (name) VALUES ('x')", [])?)).is_err());
    let seen = db.read_blocking(|c| {
        let before = count(c)?;
        let writer = db.clone();
        writer.write_blocking(|tx| insert(tx, "meanwhile"))?;
        Ok((before, count(c)?))
    });
    assert_eq!(seen.unwrap(), (0, 0));
    assert_eq!(db.read_blocking(count).unwrap(), 1);
}

#[tokio::test]
async fn async_readers_are_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("c.db"), ONE).unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (db, now, most) = (db.clone(), now.clone(), most.clone());
            tokio::spawn(async move {
                db.read(move |c| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let found = count(c);
                    now.fetch_sub(1, Ordering::SeqCst);
                    found
                })
                .await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 0);
    }
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
}

#[test]
fn the_wal_is_used_again_and_does_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.db");
    let db = Db::open(&path, ONE).unwrap();
    for round in 0..60 {
        db.write_blocking(move |tx| {
            for n in 0..250 {
                insert(tx, &format!("{round}-{n}-{}", "x".repeat(4000)))?;
            }
            Ok(())
        })
        .unwrap();
    }
    let wal = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
    assert!(std::fs::metadata(&path).unwrap().len() > 60 << 20, "more has gone through the WAL than it may hold");
    assert!(wal < 40 << 20, "{wal}");
}

#[test]
fn a_backup_is_one_whole_file_made_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("c.db"), ONE).unwrap();
    db.write_blocking(|tx| (0..2000).try_for_each(|n| insert(tx, &format!("{n}")))).unwrap();
    let copy = folder.path().join("copy.db");
    let writing = std::thread::spawn({
        let db = db.clone();
        move || (0..200).try_for_each(|n| db.write_blocking(move |tx| insert(tx, &format!("later {n}"))))
    });
    db.backup(&copy).unwrap();
    writing.join().unwrap().unwrap();
    assert!(matches!(db.backup(&copy), Err(DbError::File { .. })), "an older backup is never overwritten");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|n| n.to_string_lossy().contains("partial")), "{names:?}");
    let copied = Db::open(&copy, ONE).unwrap().read_blocking(count).unwrap();
    assert!((2000..=2200).contains(&copied), "{copied}");
}

#[tokio::test]
async fn a_long_report_keeps_no_thread_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("c.db"), ONE).unwrap();
    let mut reports = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..5 {
        let (end, wait) = mpsc::channel::<()>();
        ends.push(end);
        let db = db.clone();
        reports.push(tokio::spawn(async move {
            db.read(move |c| wait.recv().map_err(|_| DbError::Stopped).and_then(|()| count(c))).await
        }));
    }
    tokio::task::yield_now().await;
    assert_eq!(db.read_blocking(count).unwrap(), 0);
    ends.iter().for_each(|end| end.send(()).unwrap());
    for report in reports {
        assert_eq!(report.await.unwrap().unwrap(), 0);
    }
}
