//! The rules: who, when, what, each name resolved.

use std::ops::Range;

use super::Compiler;
use crate::access::{CategoryName, Ech, Host, HostName, HostSource, ListName, RuleName, Scheme};
use crate::config::network;
use crate::config::suggest::did_you_mean;
use crate::config::written::At;
use crate::lists::{Candidate, ListId};
use crate::policy::action::Duties;
use crate::policy::judge::{DEFAULT_RULE, MAX_RULES};
use crate::policy::labels::{Category, RuleSummary};
use crate::policy::protocols::{every_protocol, protocol_words, protocols_of};
use crate::policy::rule::{
    AddressEntry, HostEntry, MAX_GROUPS, Place, Protected, Rule, Set, UrlEntry, Verdict, What, When, ech_index,
    host_source_index, scheme_index,
};
use crate::policy::target::target_of_url;
use crate::policy::written::{Texts, WrittenPorts, WrittenRule};

impl Compiler<'_> {
    pub(super) fn rules(
        &mut self,
        written: Vec<At<WrittenRule>>,
        categories: &[Category],
    ) -> (Vec<Rule>, Vec<RuleSummary>) {
        let (mut rules, mut summaries) = (Vec::<Rule>::new(), Vec::new());
        let mut places = Vec::new();
        for At { value, span } in written {
            let place = value.name.as_ref().map_or(span, |name| name.span.clone());
            if rules.len() == MAX_RULES {
                self.document.problem(&place, format!("more than {MAX_RULES} rules"), "use lists instead of rules");
                break;
            }
            let (rule, summary) = self.rule(value, &place, categories);
            if rules.iter().any(|other| other.name == rule.name) {
                let help = "reasons and rows name rules: each needs its own";
                self.document.problem(&place, format!("a second rule `{}`", rule.name), help);
            }
            rules.push(rule);
            summaries.push(summary);
            places.push(place);
        }
        self.unreachable(&rules, &places);
        (rules, summaries)
    }

    fn rule(&mut self, written: WrittenRule, at: &Range<usize>, categories: &[Category]) -> (Rule, RuleSummary) {
        let name = match &written.name {
            Some(name) if !name.value.trim().is_empty() && name.value != DEFAULT_RULE => name.value.clone(),
            Some(name) => {
                let help = "reasons and rows bear it; `default` is what no rule decides";
                self.document.problem(&name.span, format!("`{}` is no name for a rule", name.value), help);
                name.value.clone()
            }
            None => {
                self.document.problem(at, "a rule without name", "name = \"…\": reasons and rows bear it");
                String::new()
            }
        };
        let verdict = self.verdict(&written.action, at);
        let duties = self.duties(written.duties.as_ref(), verdict);
        let who = self.who(written.who.as_ref());
        let when = self.when(written.when.as_ref());
        let summary = RuleSummary {
            name: RuleName::from(name.as_str()),
            label: self.label(written.label.clone(), written.label_en.clone(), &name),
            reason: written.reason.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
            source: written.source.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        };
        let what = self.what(written, at, verdict, categories);
        (Rule { name: summary.name.clone(), who, when, what, verdict, duties }, summary)
    }

    fn verdict(&mut self, action: &Option<At<String>>, at: &Range<usize>) -> Verdict {
        match action.as_ref().map(|at| (at.value.as_str(), &at.span)) {
            Some(("allow", _)) => Verdict::Allow,
            Some(("refuse", _)) => Verdict::Refuse,
            Some((other, span)) => {
                self.document.problem(span, format!("`{other}` is no action"), "\"allow\" or \"refuse\"");
                Verdict::Refuse
            }
            None => {
                self.document.problem(at, "a rule without action", "action = \"allow\" or \"refuse\"");
                Verdict::Refuse
            }
        }
    }

    fn duties(&mut self, written: Option<&At<Texts>>, verdict: Verdict) -> Duties {
        let mut duties = Duties::default();
        for At { value, span } in written.into_iter().flat_map(|at| &at.value) {
            let refuses = verdict == Verdict::Refuse;
            match value.as_str() {
                "help-line" if refuses => {
                    self.document.problem(span, "a help-line can't be refused", "action = \"allow\"")
                }
                "help-line" => duties.help_line = true,
                "never-inspect" => duties.never_inspect = true,
                "inspect" | "inspect-or-refuse" if refuses => {
                    let help = "action = \"allow\": what is inside is judged again, by the same rules";
                    self.document.problem(span, "what is refused is not opened", help);
                }
                "inspect" => duties.inspect = true,
                "inspect-or-refuse" => (duties.inspect, duties.inspect_or_refuse) = (true, true),
                "keep-path" => duties.keep_path = true,
                "scan" | "scan-uploads" if refuses => {
                    self.document.problem(span, "what is refused is not scanned", "action = \"allow\"");
                }
                "scan" => duties.scan = true,
                "scan-uploads" => duties.scan_uploads = true,
                "log-only" if !refuses => {
                    let help = "it tries a refusal out: action = \"refuse\" with log-only lets pass and flags the row";
                    self.document.problem(span, "log-only on a rule that allows", help);
                }
                "log-only" => duties.log_only = true,
                _ => {
                    const KNOWN: [&str; 8] = [
                        "help-line",
                        "never-inspect",
                        "inspect",
                        "inspect-or-refuse",
                        "keep-path",
                        "log-only",
                        "scan",
                        "scan-uploads",
                    ];
                    let help = did_you_mean(value, KNOWN);
                    self.document.problem(span, format!("`{value}` is no duty"), help);
                }
            }
        }
        if let (true, true, Some(at)) = (duties.inspect, duties.never_inspect || duties.help_line, written) {
            self.document.problem(&at.span, "to be opened, and never to be opened", "keep one of the duties");
        }
        if let (true, true, Some(at)) = (duties.help_line, duties.keep_path, written) {
            self.document.problem(&at.span, "a help-line keeps no path", "remove \"keep-path\"");
        }
        if let (true, true, Some(at)) = (duties.help_line, duties.scan || duties.scan_uploads, written) {
            self.document.problem(&at.span, "nobody looks into what goes to a help-line", "remove \"scan\"");
        }
        duties
    }

    fn who(&mut self, written: Option<&At<Texts>>) -> u64 {
        let Some(at) = written else { return u64::MAX >> (MAX_GROUPS - self.groups.len().clamp(1, MAX_GROUPS)) };
        if at.value.is_empty() {
            self.document.problem(&at.span, "this rule is for nobody", "leave `who` out for everybody");
        }
        let everybody = u64::MAX >> (MAX_GROUPS - self.groups.len().clamp(1, MAX_GROUPS));
        at.value.iter().fold(0, |mask, name| mask | if name.value == "*" { everybody } else { self.group(name) })
    }

    fn when(&mut self, written: Option<&At<Texts>>) -> When {
        let mut when = When::default();
        let Some(at) = written else { return when };
        if at.value.is_empty() {
            self.document.problem(&at.span, "this rule holds at no time", "leave `when` out for always");
        }
        for At { value, span } in &at.value {
            let (name, outside) = value.strip_prefix('!').map_or((value.as_str(), false), |name| (name, true));
            match self.schedules.iter().position(|known| known == name) {
                Some(i) if outside => when.outside |= 1 << i,
                Some(i) => when.inside |= 1 << i,
                None => {
                    let help = did_you_mean(name, self.schedules.iter().map(String::as_str));
                    self.document.problem(span, format!("there is no schedule `{name}`"), help);
                }
            }
        }
        if when.inside & when.outside != 0 {
            self.document.problem(&at.span, "inside and outside of the same schedule", "this rule would never hold");
        }
        when
    }

    fn what(&mut self, w: WrittenRule, at: &Range<usize>, verdict: Verdict, categories: &[Category]) -> What {
        let mut what = What { all: w.all.as_ref().is_some_and(|at| at.value), ..What::default() };
        for name in written(&w.categories) {
            self.category(name, verdict, categories, &mut what);
        }
        for name in written(&w.lists) {
            self.list(name, &mut what);
        }
        for text in written(&w.hosts) {
            what.hosts.extend(self.host(text));
        }
        for text in written(&w.urls) {
            what.urls.extend(self.url(text));
        }
        for text in written(&w.addresses) {
            match network(&text.value) {
                Ok(network) => what.addresses.push(AddressEntry { network, place: self.place(text) }),
                Err((problem, help)) => self.document.problem(&text.span, problem, help),
            }
        }
        for text in written(&w.look_alikes_of) {
            what.look_alikes_of.extend(self.protected(text, verdict, categories));
        }
        self.repeated([
            &w.categories,
            &w.lists,
            &w.hosts,
            &w.urls,
            &w.addresses,
            &w.look_alikes_of,
            &w.protocols,
            &w.schemes,
            &w.host_sources,
            &w.ech,
        ]);
        what.ports = w
            .ports
            .iter()
            .flat_map(|at| &at.value)
            .map(|at| {
                let WrittenPorts(a, b) = at.value;
                (a, b)
            })
            .collect();
        what.protocols = self.protocols(&w.protocols);
        what.schemes = self.schemes(&w.schemes);
        what.host_sources = self.host_sources(&w.host_sources);
        what.ech = self.words(&w.ech, "encrypted ClientHello", Ech::ALL, |ech| (ech.as_str(), ech_index(ech)));
        what.no_dns = w.no_dns.as_ref().is_some_and(|at| at.value);
        if let Some(no) = w.no_dns.as_ref().filter(|at| !at.value) {
            self.document.problem(&no.span, "`no_dns = false` narrows nothing", "leave the key out");
        }
        let names = [&w.categories, &w.lists, &w.hosts, &w.urls, &w.addresses, &w.look_alikes_of];
        let names = names.iter().any(|kind| kind.is_some());
        let narrowed = [&w.protocols, &w.schemes, &w.host_sources, &w.ech].iter().any(|kind| kind.is_some());
        let narrowed = narrowed || w.ports.is_some() || w.no_dns.is_some();
        match (what.all, names) {
            (true, true) => {
                self.document.problem(
                    at,
                    "`all` beside names",
                    "all = true covers every name already: keep one of them",
                );
            }
            (false, false) if narrowed => what.all = true,
            (false, false) => self.document.problem(
                at,
                "this rule does not say what it is about",
                "categories, lists, hosts, urls, addresses, look_alikes_of, ports, protocols, host_sources, ech, no_dns, or all = true",
            ),
            _ => {}
        }
        what
    }

    /// A category whose names others must not resemble, or a host (which has a dot).
    fn protected(&mut self, text: &At<String>, verdict: Verdict, categories: &[Category]) -> Option<Protected> {
        if verdict == Verdict::Allow {
            let help = "a name that looks like another one is no reason to allow it: action = \"refuse\"";
            self.document.problem(&text.span, "`look_alikes_of` on a rule that allows", help);
        }
        if text.value.contains('.') {
            let entry = self.host(text)?;
            return Some(Protected::Host(entry.host, entry.place));
        }
        let category = self.known_category(text, categories)?.name.clone();
        Some(Protected::Category(category, self.lists_of(&text.value).iter().map(|(list, _)| *list).collect()))
    }

    fn category(&mut self, name: &At<String>, verdict: Verdict, categories: &[Category], what: &mut What) {
        let Some(category) = self.known_category(name, categories) else { return };
        if verdict == Verdict::Refuse && !category.forbids {
            let problem = format!("category `{}` does not forbid: being in it is no reason to refuse", name.value);
            let help = format!("if it should be one, set forbids = true in [categories.{}]", name.value);
            self.document.problem(&name.span, problem, help);
        }
        let lists = self.lists_of(&name.value);
        what.lists.union_with(&lists.iter().map(|(list, _)| *list).collect());
        what.named.extend(lists);
        let meant = self.meant(&name.value);
        what.categories.push(if categories.iter().any(|c| c.name == meant) { meant } else { category.name.clone() });
    }

    /// The category that a word or an alias means; its absence is a problem.
    fn known_category<'c>(&mut self, name: &At<String>, categories: &'c [Category]) -> Option<&'c Category> {
        let named = |meant: &str| categories.iter().find(|category| category.name.as_str() == meant);
        let known = named(&name.value).or_else(|| named(self.meant(&name.value).as_str()));
        if known.is_none() {
            let help = did_you_mean(&name.value, categories.iter().map(|c| c.name.as_str()));
            self.document.problem(&name.span, format!("there is no category `{}`", name.value), help);
        }
        known
    }

    fn meant(&self, written: &str) -> CategoryName {
        let written = CategoryName::from(written);
        self.image.category_of_alias(&written).cloned().unwrap_or(written)
    }

    /// The lists of a category, by its name or an alias, each with the category that it bears.
    fn lists_of(&self, written: &str) -> Vec<(ListId, CategoryName)> {
        let meant = self.meant(written);
        let lists = self.image.lists().iter().enumerate();
        let lists = lists.filter(|(_, list)| list.category == meant || list.category.as_str() == written);
        lists.filter_map(|(i, list)| Some((ListId::new(i)?, list.category.clone()))).collect()
    }

    fn list(&mut self, name: &At<String>, what: &mut What) {
        if let Some(id) = self.image.list_named(&ListName::from(name.value.as_str())) {
            what.lists.insert(id);
            what.named.extend(self.image.list(id).map(|list| (id, list.category.clone())));
            return;
        }
        let source = name.value.split('/').next().unwrap_or_default();
        let of_source = |list: &str| list.split('/').next() == Some(source);
        let names: Vec<&str> = self.image.lists().iter().map(|list| list.name.as_str()).collect();
        let problem = format!("there is no list `{}`", name.value);
        if names.iter().any(|list| of_source(list)) {
            self.document.problem(&name.span, problem, did_you_mean(&name.value, names));
        } else {
            // A whole source that is absent has not been downloaded yet: its rules wait for it.
            let help = "if it is still to be downloaded: `ecluse lists update`; until then the rule does without";
            self.notes.push(self.document.problem_at(&name.span, problem, help));
        }
    }

    fn host(&mut self, text: &At<String>) -> Option<HostEntry> {
        let (name, below_only) =
            text.value.strip_prefix("*.").map_or((text.value.as_str(), false), |name| (name, true));
        match Host::parse(name) {
            Ok(Host::Name(host)) => Some(HostEntry { host, below_only, place: self.place(text) }),
            Ok(Host::Address(address)) => {
                let help = format!("write it under `addresses`: [\"{address}\"]");
                self.document.problem(&text.span, format!("`{}` is an address", text.value), help);
                None
            }
            Err(e) => {
                let help = "a name such as \"example.fr\" (covers its subdomains) or \"*.example.fr\" (only those)";
                self.document.problem(&text.span, format!("`{}` is no host: {e}", text.value), help);
                None
            }
        }
    }

    fn url(&mut self, text: &At<String>) -> Option<UrlEntry> {
        let url = text.value.split_once("://").map_or(text.value.as_str(), |(_, rest)| rest);
        let target = target_of_url(&format!("http://{url}"));
        match target {
            Ok(target) => {
                let prefix = Candidate::new(&target.host, &target.path_and_query);
                Some(UrlEntry { prefix, place: self.place(text) })
            }
            Err(e) => {
                self.document.problem(&text.span, e, "as in \"example.fr/folder\": the host and the path's beginning");
                None
            }
        }
    }

    fn place(&self, text: &At<String>) -> Place {
        Place { text: text.value.as_str().into(), line: self.document.line_of(text.span.start) }
    }

    fn repeated(&mut self, kinds: [&Option<At<Texts>>; 10]) {
        for at in kinds.into_iter().flatten() {
            if at.value.is_empty() {
                self.document.problem(&at.span, "an empty array", "leave the key out, or name something");
            }
            for (i, text) in at.value.iter().enumerate() {
                if at.value[..i].iter().any(|before| before.value == text.value) {
                    self.document.problem(&text.span, format!("`{}` stands here twice", text.value), "remove one");
                }
            }
        }
    }

    /// Plain words are joined; those with `!` are taken away, from everything where there is no plain one.
    fn protocols(&mut self, texts: &Option<At<Texts>>) -> Set {
        let (mut plain, mut without) = (Set::default(), Set::default());
        for At { value, span } in written(texts) {
            let (word, set) = value.strip_prefix('!').map_or((value.as_str(), &mut plain), |word| (word, &mut without));
            match protocols_of(word) {
                Some(meant) => *set = set.union(meant),
                None => {
                    let help = did_you_mean(word, protocol_words());
                    self.document.problem(span, format!("there is no protocol `{word}`"), help);
                }
            }
        }
        let wanted = if plain.is_any() { every_protocol() } else { plain };
        let set = if without.is_any() { plain } else { wanted.without(without) };
        if let Some(at) = texts.as_ref().filter(|_| set.is_any() && !without.is_any()) {
            self.document.problem(&at.span, "this leaves no protocol", "what stands behind `!` takes all of it away");
        }
        set
    }

    fn schemes(&mut self, texts: &Option<At<Texts>>) -> Set {
        self.words(texts, "scheme", Scheme::ALL, |scheme| (scheme.as_str(), scheme_index(scheme)))
    }

    fn host_sources(&mut self, texts: &Option<At<Texts>>) -> Set {
        self.words(texts, "host source", HostSource::ALL, |source| (source.as_str(), host_source_index(source)))
    }

    fn words<T: Copy>(
        &mut self,
        texts: &Option<At<Texts>>,
        kind: &str,
        known: &[T],
        word: impl Fn(T) -> (&'static str, usize),
    ) -> Set {
        let mut set = Set::default();
        for At { value, span } in written(texts) {
            match known.iter().map(|&one| word(one)).find(|(name, _)| name == value) {
                Some((_, index)) => set.insert(index),
                None => {
                    let help = did_you_mean(value, known.iter().map(|&one| word(one).0));
                    self.document.problem(span, format!("there is no {kind} `{value}`"), help);
                }
            }
        }
        set
    }
}

fn written(texts: &Option<At<Texts>>) -> impl Iterator<Item = &At<String>> {
    texts.iter().flat_map(|at| &at.value)
}

/// Whether `name` is covered by an entry: used to find rules that can't be reached.
pub(super) fn covers_host(entries: &[HostEntry], name: &HostName, below_only: bool) -> bool {
    entries.iter().any(|e| name.is_within(&e.host) && (!e.below_only || *name != e.host || below_only))
}
