//! The `ecluse` program: see [`ecluse::cli`].

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
