//! Parse, run, exit code.

fn main() -> std::process::ExitCode {
    pacsferry::cli::main()
}
