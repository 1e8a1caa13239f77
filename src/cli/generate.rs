//! `completions` and `man`: what clap can tell of the commands, for shells and for paper.

use clap::CommandFactory;

use super::{Cli, Exit, Failure, output};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pacsferry completions bash > /etc/bash_completion.d/pacsferry\n  pacsferry completions zsh > ~/.zfunc/_pacsferry"
)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Print the man page
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pacsferry man > /usr/local/share/man/man1/pacsferry.1\n  pacsferry man migrate | man -l -"
)]
pub(super) struct ManArgs {
    /// The page of this command instead of the page of the program
    command: Option<String>,
}

pub(super) fn completions(args: CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pacsferry", &mut script);
    output::print(|out| out.write_all(&script))?;
    Ok(Exit::Done)
}

pub(super) fn man(args: ManArgs) -> Result<Exit, Failure> {
    let mut whole = Cli::command();
    whole.build();
    let command = match &args.command {
        None => whole,
        Some(name) => {
            let known: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
            let unknown = || {
                Failure::usage(
                    format!("there is no command `{name}`"),
                    format!("the commands are: {}", known.join(", ")),
                )
            };
            whole.find_subcommand(name).ok_or_else(unknown)?.clone()
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    // What stands below the options are examples and exit codes; the generator calls that "EXTRA".
    let page = String::from_utf8_lossy(&page).replace("\n.SH EXTRA\n", "\n.SH NOTES\n");
    output::print(|out| out.write_all(page.as_bytes()))?;
    Ok(Exit::Done)
}
