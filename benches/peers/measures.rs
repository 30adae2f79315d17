//! The measures, in the order of the table.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::TlsConnector;

use super::Effort;
use super::bare::Peer;
use super::harness::dns::NameServer;
use super::harness::site::{Site, UT1_CATALOGUE};
use super::harness::tls::Authority;
use super::harness::{self, cli, meanwhile};
use super::lists::{self, Lists};
use super::load::{Endless, Seen};
use super::origin::{self, NAME, Origin};
use super::processes::{resident_kib, tree_cpu, wake_ups};
use super::programs::{NAME_SERVER, Program};
use super::subject::{Contender, Subject};
use super::table::{Column, Goal, Row, print};

/// The origins of a run.
struct Origins {
    pages: Origin,
    tunnels: Origin,
    tls: Origin,
    hello: Arc<[u8]>,
    connector: TlsConnector,
}

struct Bench<'a> {
    effort: &'a Effort,
    lists: Lists,
    origins: Origins,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// Everything, and the table at the end.
pub async fn all(effort: &Effort) {
    let data = harness::data().expect("ECLUSE_TEST_DATA: the folder with ut1-full.tar.zst");
    let folder = tempfile::Builder::new().prefix("ecluse-peers-").tempdir().expect("a temporary folder");
    {
        use std::os::unix::fs::PermissionsExt;
        // The others leave root behind.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("our own folder");
    }
    let lists = lists::prepare(&data, effort.archive, folder.path());
    eprintln!("{} names; refused: one of them", lists.names);
    let names = NameServer::start_at(NAME_SERVER).await;
    for host in lists.popular.iter() {
        names.answers(host, &[&["127.0.0.1"]]);
    }
    let (authority, hello) = (Authority::new(), origin::hello());
    let origins = Origins {
        pages: Origin::of_pages().await,
        tunnels: Origin::of_tunnels(&hello).await,
        tls: Origin::of_tls(authority.acceptor(&[NAME])).await,
        hello,
        connector: authority.connector(),
    };
    let notes = vec![format!("Lists: {}, {} different names, for all that take lists.", effort.archive, lists.names)];
    let mut bench = Bench { effort, lists, origins, rows: Vec::new(), notes };
    let mut contenders = vec![Contender::ours(bench.our_site(names.address))];
    for program in Program::ALL {
        let Some(version) = program.version() else {
            bench.notes.push(format!("{}: not installed here, so not measured.", program.name()));
            continue;
        };
        let (contender, took) = Contender::other(program, &bench.lists, folder.path().join(format!("{program:?}")));
        bench.notes.push(format!(
            "{} {version}; its configuration and lists were made in {:.1} s.",
            program.name(),
            took.as_secs_f64()
        ));
        contenders.push(contender);
    }
    bench.starts(&mut contenders).await;
    bench.rounds(&contenders).await;
    bench.memory(&mut contenders).await;
    bench.idle(&mut contenders).await;
    bench.reloads(&mut contenders).await;
    bench.kills(&mut contenders).await;
    bench.notes.push("tinyproxy and privoxy go through all their lines for each request, so they run without the lists, with one name to refuse.".to_owned());
    bench
        .notes
        .push("The memory of what several processes map together is counted for each of them (squidGuard).".to_owned());
    print(&bench.rows, &bench.notes);
}

impl Bench<'_> {
    /// A college's gateway with all of UT1, compiled, and its durable log, for a centre on another machine.
    fn our_site(&mut self, names: SocketAddr) -> Site {
        let mut site = Site::new(Some(names));
        let lists = site.rules().join("lists");
        std::fs::create_dir_all(&lists).expect("a writable folder");
        // The others read theirs elsewhere: a link will do.
        std::os::unix::fs::symlink(&self.lists.ut1, lists.join("ut1")).expect("a writable folder");
        site.write_rule("lists/ut1.toml", UT1_CATALOGUE);
        site.set("limits", "connections_per_client = 10000\nflows = 30000");
        let begun = Instant::now();
        let compiled = cli::run(Some(&site.write_config()), &site.state(), &["lists", "compile"]);
        assert_eq!(compiled.code, Some(0), "{}", compiled.stderr);
        self.notes.push(format!("Écluse compiled the lists in {:.1} s.", begun.elapsed().as_secs_f64()));
        site.set("role", "gateway = true\ncentral = false");
        site
    }

    /// From the start of the process to the first page through it, lists already compiled.
    async fn starts(&mut self, contenders: &mut Vec<Contender>) {
        let mut row = Row::new("start to the first page, lists compiled", "s", &[Goal::Most(0.3)], "17");
        let pages = self.origins.pages.address;
        let mut absent = Vec::new();
        for (at, contender) in contenders.iter_mut().enumerate() {
            for start in 0..self.effort.starts {
                let Some(took) = contender.start(pages).await else {
                    self.notes.push(format!("{:?} does not start here, so it is not measured.", contender.column()));
                    absent.push(at);
                    break;
                };
                if contender.has_lists() {
                    row.add(contender.column(), took.as_secs_f64());
                }
                if start + 1 < self.effort.starts {
                    contender.kill();
                }
            }
        }
        for at in absent.into_iter().rev() {
            contenders.remove(at);
        }
        self.keep(row);
    }

    fn keep(&mut self, row: Row) {
        row.progress();
        self.rows.push(row);
    }

    /// All that is measured as CPU time, round by round.
    async fn rounds(&mut self, contenders: &[Contender]) {
        let (pages, tunnels, tls) = (
            Peer::start("proxy", self.origins.pages.address).await,
            Peer::start("splice", self.origins.tunnels.address).await,
            Peer::start("splice", self.origins.tls.address).await,
        );
        let others: Vec<Subject> = contenders.iter().map(Contender::subject).collect();
        let with = |bare: Option<&Peer>| {
            let mut all = vec![Subject::no_proxy()];
            all.extend(bare.map(Subject::bare));
            all.extend(others.iter().copied());
            all
        };
        let (http, tunnel, secure, refusing) = (with(Some(&pages)), with(Some(&tunnels)), with(Some(&tls)), with(None));
        let refusing = &refusing[1..];
        let Effort { requests, large_requests, tunnels, handshakes, bulk_bytes, refusals, .. } = *self.effort;
        let (bare, squid) = (Column::Bare, Column::Squid);
        let origins = &self.origins;
        let (page, far) = (origins.pages.address, origins.tunnels.address);
        let refused = self.lists.refused.clone();
        let mut rows = Vec::new();

        let goals = [Goal::Ratio(bare, 1.25), Goal::Ratio(squid, 0.5)];
        let work = async |of: &Subject, n| of.pages.unwrap().pages(page, 1024, n).await;
        rows.extend(
            self.rows_of("keep-alive request, 1 KiB", &goals, "31", requests, &http, &origins.pages, 1, work).await,
        );

        let work = async |of: &Subject, n| of.pages.unwrap().pages(page, 100 * 1024, n).await;
        let goals = [Goal::Ratio(bare, 1.25)];
        rows.extend(
            self.rows_of("keep-alive request, 100 KiB", &goals, "74", large_requests, &http, &origins.pages, 1, work)
                .await,
        );

        let work = async |of: &Subject, n| of.tunnels.unwrap().tunnels(far, &origins.hello, 1, n).await;
        let goals = [Goal::Ratio(bare, 1.25), Goal::Ratio(squid, 0.6)];
        rows.extend(
            self.rows_of("CONNECT tunnel, no TLS work", &goals, "105", tunnels, &tunnel, &origins.tunnels, 1, work)
                .await,
        );

        let work = async |of: &Subject, n| of.tls.unwrap().tls(origins.tls.address, &origins.connector, n).await;
        rows.extend(
            self.rows_of("CONNECT tunnel with a TLS handshake", &[], "–", handshakes, &secure, &origins.tls, 1, work)
                .await,
        );

        let work = async |of: &Subject, n| of.tunnels.unwrap().tunnels(far, &origins.hello, bulk_bytes, n).await;
        let goals = [Goal::Ratio(bare, 1.15)];
        rows.extend(self.bulk("bulk through a tunnel", &goals, "1.02", &tunnel, work).await);

        let work = async |of: &Subject, n| of.pages.unwrap().pages(page, bulk_bytes, n).await;
        rows.extend(self.bulk("bulk over HTTP", &goals, "0.98", &http, work).await);

        let goals = [Goal::Either(20.0, squid, 0.75)];
        let work = async |of: &Subject, n| of.pages.unwrap().refused_pages(&refused, page.port(), n).await;
        rows.extend(
            self.rows_of("refused page, keep-alive", &goals, "38", refusals, refusing, &origins.pages, 0, work).await,
        );

        let goals = [Goal::Either(36.0, squid, 0.75)];
        let work = async |of: &Subject, n| of.tunnels.unwrap().refused_tunnels(&refused, far.port(), n).await;
        rows.extend(self.rows_of("refused CONNECT", &goals, "36", refusals, refusing, &origins.tunnels, 0, work).await);
        self.rows.extend(rows);
    }

    /// CPU time of each, how many a second, and how long they took, from rounds of `count`. The origin must see `served`
    /// for each: nothing refused reaches it.
    #[expect(clippy::too_many_arguments, reason = "one call a measure, side by side with the others")]
    async fn rows_of(
        &self,
        what: &'static str,
        goals: &[Goal],
        g3proxy: &'static str,
        count: usize,
        subjects: &[Subject],
        origin: &Origin,
        served: u64,
        work: impl AsyncFn(&Subject, usize) -> Seen,
    ) -> Vec<Row> {
        let mut rows = vec![
            Row::new(format!("{what}: CPU"), "µs", goals, g3proxy),
            Row::new(format!("{what}: a second"), "1/s", &[], "–"),
            Row::new(format!("{what}: p50"), "µs", &[], "–"),
            Row::new(format!("{what}: p99"), "µs", &[], "–"),
            Row::new(format!("{what}: p99.9"), "µs", &[], "–"),
        ];
        for round in 0..=self.effort.rounds {
            for subject in subjects {
                // The first round warms up.
                let count = if round == 0 { count / 10 } else { count };
                let count = (count / subject.share).max(8);
                let (before, cpu) = (origin.served(), subject.pid.map(tree_cpu));
                let mut seen = work(subject, count).await;
                assert_eq!(
                    origin.served() - before,
                    served * count as u64,
                    "{what}, {:?}: the origin saw others",
                    subject.column
                );
                // What comes after the answer belongs to the round.
                meanwhile(Duration::from_millis(200)).await;
                let spent = subject.pid.map(tree_cpu).zip(cpu).map(|(now, before)| now.saturating_sub(before));
                if round == 0 {
                    continue;
                }
                if let Some(spent) = spent {
                    rows[0].add(subject.column, spent.as_secs_f64() * 1e6 / count as f64);
                }
                rows[1].add(subject.column, seen.per_second());
                for (row, part) in [(2, 0.5), (3, 0.99), (4, 0.999)] {
                    rows[row].add(subject.column, seen.quantile(part));
                }
            }
        }
        rows[0].progress();
        rows
    }

    /// CPU-seconds and speed of one large thing.
    async fn bulk(
        &self,
        what: &'static str,
        goals: &[Goal],
        g3proxy: &'static str,
        subjects: &[Subject],
        work: impl AsyncFn(&Subject, usize) -> Seen,
    ) -> Vec<Row> {
        let mut rows = vec![
            Row::new(format!("{what}: CPU per GB"), "s", goals, g3proxy),
            Row::new(format!("{what}: speed"), "Gb/s", &[], "–"),
        ];
        let bytes = self.effort.bulk_bytes as f64;
        for _ in 0..self.effort.rounds {
            for subject in subjects {
                let cpu = subject.pid.map(tree_cpu);
                let seen = work(subject, 1).await;
                if let Some((now, before)) = subject.pid.map(tree_cpu).zip(cpu) {
                    rows[0].add(subject.column, now.saturating_sub(before).as_secs_f64() / (bytes / 1e9));
                }
                rows[1].add(subject.column, bytes * 8.0 / 1e9 / seen.wall.as_secs_f64());
            }
        }
        rows.iter().for_each(Row::progress);
        rows
    }

    /// Memory after many look-ups, each program started anew.
    async fn memory(&mut self, contenders: &mut [Contender]) {
        let mut row = Row::new("resident memory after the look-ups", "MiB", &[Goal::Most(80.0)], "3,134");
        let mut anonymous = Row::new("of it anonymous", "MiB", &[], "–");
        let pages = self.origins.pages.address;
        let hosts: Arc<[String]> = self.lists.popular.iter().take(self.effort.look_ups).cloned().collect();
        for contender in contenders.iter_mut() {
            contender.kill();
            contender.start(pages).await.expect("it starts again");
            let answered = contender.door().look_ups(&hosts, pages.port()).await;
            // Names of another time may be none today; nearly all are.
            assert!(answered * 10 >= hosts.len() as u64 * 9, "{:?} answered {answered}", contender.column());
            let (anon, file) = resident_kib(contender.subject().pid.expect("it runs"));
            row.add(contender.column(), (anon + file) as f64 / 1024.0);
            anonymous.add(contender.column(), anon as f64 / 1024.0);
        }
        self.notes.push(format!(
            "Memory: RssAnon + RssFile of the program and its helpers after {} look-ups of popular hosts.",
            hosts.len()
        ));
        self.keep(row);
        self.keep(anonymous);
    }

    /// What an open tunnel in which nothing moves holds.
    async fn idle(&mut self, contenders: &mut [Contender]) {
        let mut row = Row::new("memory per idle tunnel", "KiB", &[Goal::Most(5.0)], "58");
        let (pages, tunnels) = (self.origins.pages.address, self.origins.tunnels.address);
        let descriptors =
            rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1024) as usize;
        // Two descriptors for each in a proxy and here, and for the gateway a part of its limit that it keeps for others.
        let count = self.effort.idle.min(descriptors * 3 / 8);
        let bare = Peer::start("splice", tunnels).await;
        let mut measured = vec![(Subject::bare(&bare), count)];
        for contender in contenders.iter_mut() {
            contender.kill();
            contender.start(pages).await.expect("it starts again");
            let most = match contender.column() {
                // It has a thread for each connection, as many as it is told to have.
                Column::E2guardian => 400,
                _ => count,
            };
            measured.push((contender.subject(), most.min(count)));
        }
        for (subject, count) in measured {
            let door = subject.tunnels.expect("it has tunnels");
            // What the first ones bring in is not theirs.
            drop(door.idle_tunnels(tunnels, &self.origins.hello, count.min(100)).await);
            meanwhile(Duration::from_secs(1)).await;
            let pid = subject.pid.expect("a process");
            let before = resident_kib(pid);
            let open = door.idle_tunnels(tunnels, &self.origins.hello, count).await;
            meanwhile(Duration::from_secs(2)).await;
            let after = resident_kib(pid);
            assert_eq!(open.len(), count);
            let (wakes, waited) = (wake_ups(pid), Duration::from_secs(5));
            meanwhile(waited).await;
            let wakes = (wake_ups(pid).saturating_sub(wakes)) as f64 / waited.as_secs_f64();
            let grown = ((after.0 + after.1) as f64 - (before.0 + before.1) as f64).max(0.0);
            row.add(subject.column, grown / count as f64);
            self.notes.push(format!(
                "{:?}: {count} idle tunnels, {wakes:.0} changes of task a second by itself meanwhile.",
                subject.column
            ));
        }
        self.keep(row);
    }

    /// Requests while the lists are read again.
    async fn reloads(&mut self, contenders: &mut [Contender]) {
        let mut gap = Row::new("reload under load: longest wait", "ms", &[Goal::Most(20.0)], "–");
        let mut lost = Row::new("reload under load: failed requests", "n", &[Goal::Most(0.0)], "–");
        let mut grown = Row::new("reload under load: memory at most, times before", "×", &[Goal::Most(1.1)], "–");
        let pages = self.origins.pages.address;
        for contender in contenders.iter_mut().filter(|contender| contender.has_lists()) {
            contender.kill();
            contender.start(pages).await.expect("it starts again");
            let pid = contender.subject().pid.expect("it runs");
            let load = Endless::start(contender.door(), pages);
            meanwhile(Duration::from_secs(2)).await;
            let before = resident_kib(pid);
            contender.reload(0);
            let (begun, mut most, mut right, mut moved) = (Instant::now(), 0, 0, Instant::now());
            // Until answers have come without a pause for a while: a reload may begin late and last a minute.
            while begun.elapsed() < Duration::from_secs(10)
                || (moved.elapsed() > Duration::from_millis(500) && begun.elapsed() < Duration::from_secs(180))
            {
                meanwhile(Duration::from_millis(50)).await;
                let (anon, file) = resident_kib(pid);
                most = most.max(anon + file);
                let now = load.right.load(std::sync::atomic::Ordering::Relaxed);
                if now != right {
                    (right, moved) = (now, Instant::now());
                }
            }
            let endured = load.stop().await;
            assert!(endured.asked > 100, "no load");
            gap.add(contender.column(), endured.longest.as_secs_f64() * 1e3);
            lost.add(contender.column(), endured.failed as f64);
            grown.add(contender.column(), most as f64 / (before.0 + before.1).max(1) as f64);
        }
        self.keep(gap);
        self.keep(lost);
        self.keep(grown);
    }

    /// What the log holds of what was forwarded when the plug is pulled: of answered requests under load, and of open tunnels.
    async fn kills(&mut self, contenders: &mut [Contender]) {
        const TUNNELS: usize = 300;
        let mut lost = Row::new("log lines lost by kill -9 under load", "n", &[Goal::Most(0.0)], "17");
        let mut traced = Row::new("open tunnels traced after kill -9, of 300", "n", &[], "0");
        for contender in contenders.iter_mut() {
            for _ in 0..self.effort.kills {
                // An origin of its own has a port of its own: the log is asked for that.
                let pages = Origin::of_pages().await;
                let tunnels = Origin::of_tunnels(&self.origins.hello).await;
                contender.kill();
                contender.start(self.origins.pages.address).await.expect("it starts again");
                let open = contender.door().idle_tunnels(tunnels.address, &self.origins.hello, TUNNELS).await;
                let load = Endless::start(contender.door(), pages.address);
                meanwhile(Duration::from_millis(1500)).await;
                let answered = load.right.load(std::sync::atomic::Ordering::Relaxed);
                contender.kill();
                load.stop().await;
                drop(open);
                assert!(answered > 50, "no load");
                let served = pages.served() as usize;
                let ports = [pages.address.port(), tunnels.address.port()];
                let [of_pages, of_tunnels] = contender.logged(self.origins.pages.address, ports).await;
                lost.add(contender.column(), served.saturating_sub(of_pages) as f64);
                traced.add(contender.column(), of_tunnels as f64);
            }
        }
        self.keep(lost);
        self.keep(traced);
    }
}
