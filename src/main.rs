//! The `ecluse` program: see [`ecluse::cli`].

fn main() -> std::process::ExitCode {
    ecluse::cli::main()
}
