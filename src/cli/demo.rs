//! `demo`: a whole migration, from a sample old PACS inside the process.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use super::follow::{Ended, Follow};
use super::output::count;
use super::{Exit, Failure, Global, log, report};
use crate::catalog::{JobKind, JobSpec};
use crate::config::units::format_bytes;
use crate::dicom::AeTitle;
use crate::node;
use crate::sample::{Archive, Profile, SamplePacs};

/// See a whole migration: a sample old PACS inside this process is carried over, newest first, with the report at the end
///
/// No network and no patient data: a made-up archive is served over real DICOM associations on this machine's loopback
/// interface. Three of its studies cannot be proven, so that the report has something to show.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pacsferry demo\n  pacsferry demo --folder /tmp/demo\n  pacsferry demo        again: what is filed is proven without being pulled"
)]
pub(super) struct Args {
    /// Where to put configuration, catalog and images
    #[arg(long, value_name = "FOLDER", default_value = "./pacsferry-demo")]
    folder: PathBuf,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    if global.config.is_some() {
        return Err(Failure::usage(
            "the demo writes a configuration of its own",
            "leave --config out; --folder says where to",
        ));
    }
    let folder = std::path::absolute(&args.folder)?;
    if folder.to_str().is_none() {
        return Err(Failure::usage(
            format!("the name of the folder {} is not UTF-8", folder.display()),
            "choose another with --folder",
        ));
    }
    let title =
        |text: &str| AeTitle::new(text).map_err(|error| Failure::from_error("an AE title of the demo", &error, ""));
    let receiver = free_port()?;
    let archive = Archive::demo();
    let (studies, objects, bytes) = (archive.studies().len(), archive.objects().len(), archive.bytes());
    let pacs = SamplePacs::start(
        archive,
        Profile::demo(),
        title("SAMPLEPACS")?,
        HashMap::from([(title("FERRY_RX")?, receiver)]),
    )
    .map_err(|error| {
        Failure::from_error(
            "the sample PACS cannot start",
            &error,
            "the demo needs the loopback interface and two free ports",
        )
    })?;

    let file = args.folder.join("pacsferry.toml");
    let again = folder.join("catalog.db").exists();
    write_configuration(&folder, pacs.addr(), receiver)?;
    let demo = Global { config: Some(file.clone()), json: global.json, log: global.log.clone() };
    let config = demo.load()?;
    log::say(&format!(
        "a sample old PACS at {} holds {} with {}, {}; its queries end after a few answers without saying so",
        pacs.addr(),
        count(studies as u64, "study", "studies"),
        count(objects as u64, "object", "objects"),
        format_bytes(bytes)
    ));
    log::say(&format!("migrating it into {}", args.folder.display()));
    if again {
        log::say(
            "this folder holds the demo already: what is filed is compared with the source and proven, not pulled again",
        );
    }

    let node = node::open(config.clone()).await?;
    let spec = JobSpec {
        kind: JobKind::Migration,
        source: Some("sample".into()),
        from: None,
        to: None,
        studies: Vec::new(),
        modalities: Vec::new(),
        follow: None,
        import: None,
    };
    let job = node.catalog.create_job(&spec).await?;
    let ended = Box::pin(Follow::new(&demo, &config, &node.catalog, job.id).until_rest()).await?;
    drop(pacs);
    let job = match ended {
        Ended::AtRest(job) => job,
        Ended::Left => return Ok(Exit::Stopped),
        Ended::Terminated => return Ok(Exit::Terminated),
    };
    match report::print_end(&demo, &node.catalog, &job, true).await? {
        exit @ (Exit::Done | Exit::Fallout) => {
            tell_more(&demo, exit, job.id);
            Ok(Exit::Done)
        }
        other => Ok(other),
    }
}

fn tell_more(demo: &Global, exit: Exit, job: i64) {
    if exit == Exit::Fallout {
        log::say(
            "\nNot everything is proven, as it would be in life: the sample PACS fails to send some objects, and sends one that\nit does not list. `pacsferry migrate` would end with exit code 3.",
        );
    }
    log::say("\nThe sample PACS ended with the demo; what it brought is here to be looked at:");
    for command in ["find catalog --level study", &format!("job {job}"), "verify --all --files", "guide"] {
        log::say(&format!(
            "  {}",
            if command == "guide" { "pacsferry guide".to_owned() } else { demo.command(command) }
        ));
    }
}

/// A port that nobody uses now. The sample PACS must know it before the receiver listens.
fn free_port() -> Result<SocketAddr, Failure> {
    let find = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    find().map_err(|error| Failure::from_error("no free port on the loopback interface", &error, ""))
}

fn write_configuration(folder: &Path, source: SocketAddr, receiver: SocketAddr) -> Result<(), Failure> {
    let path = |name: &str| toml::Value::String(folder.join(name).display().to_string());
    let catalog = toml::Value::String(format!("sqlite:{}", folder.join("catalog.db").display()));
    let text = format!(
        "\
# Written by `pacsferry demo`. The sample PACS lives only as long as the demo runs.

[storage]
folder       = {images}
catalog      = {catalog}
minimum_free = \"100 MiB\"

[receiver]
ae_title = \"FERRY_RX\"
listen   = \"{receiver}\"

[[source]]
name     = \"sample\"
ae_title = \"SAMPLEPACS\"
address  = \"{source}\"
settle   = \"1s\"
attempts = 3
retry    = {{ first = \"1s\", longest = \"2s\" }}
",
        images = path("images"),
    );
    let file = folder.join("pacsferry.toml");
    #[expect(
        clippy::disallowed_methods,
        reason = "a configuration that is made anew each time need not survive a power cut"
    )]
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, text));
    written.map_err(|error| {
        Failure::from_error(
            &format!("{} cannot be written", file.display()),
            &error,
            "choose a folder that you may write with --folder",
        )
    })
}
