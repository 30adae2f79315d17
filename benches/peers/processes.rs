//! A process and all that it started, as the kernel counts them.

use std::time::Duration;

use super::process::cpu_if_alive;

/// User and system time of a process and of all that it started and that still lives: helpers do its work.
pub fn tree_cpu(pid: u32) -> Duration {
    tree(pid).into_iter().filter_map(cpu_if_alive).sum()
}

/// Memory that only this program holds, in KiB: anonymous, and of mapped files, of a process and all that it started.
pub fn resident_kib(pid: u32) -> (u64, u64) {
    let of = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok()).unwrap_or(0_u64)
        };
        (field("RssAnon:"), field("RssFile:"))
    };
    tree(pid).into_iter().map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// A process and its descendants.
fn tree(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let child: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
            Some((child, parent))
        })
        .collect();
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(&parent) = all.get(at) {
        all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        at += 1;
    }
    all
}

/// How often the threads of a process have gone to sleep of themselves, which is as often as they were woken.
pub fn wake_ups(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    tasks.filter_map(of).sum()
}
