//! The `ebm` program; everything is in the library.

fn main() -> std::process::ExitCode {
    ebm::cli::main()
}
