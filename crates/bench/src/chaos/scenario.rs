//! The scenarios: what each loads, what it may show, and its nemesis.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::disk::Disk;
use super::nemesis::upstream::{Memory, WINDOW_SECONDS};
use super::nemesis::{self, Strike};
use super::order::Mix;
use super::stage::Furniture;
use super::verdict::{Allowed, Expected, Struck};

/// How long it all may take.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    /// A few faults each, and none of the scenarios that take over a minute: what `.ci/run` runs.
    #[value(alias = "ci")]
    Short,
    /// Ten times as many and more.
    Long,
}

impl Tier {
    /// One of two.
    pub(crate) fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// What is done to the system under load.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
#[value(rename_all = "kebab-case")]
pub enum Scenario {
    /// Replicas are killed with `kill -9` and start again.
    #[value(name = "kill9")]
    Kill9,
    /// A replica is stopped for longer than its lease lasts, and goes on.
    Pause,
    /// Replicas are killed with `kill -9` at each named point of a message's way.
    KillPoints,
    /// One replica after the other is asked to end, and starts again.
    Term,
    /// The same behind a balancer that follows readiness: no client may notice.
    Rolling,
    /// PostgreSQL restarts.
    PgRestart,
    /// One of PostgreSQL's processes is killed, so that all sessions end.
    PgBackend,
    /// PostgreSQL is killed with `kill -9` and starts again.
    PgKill,
    /// Commits are made, and the answers to them lost.
    LostCommit,
    /// Some connections to PostgreSQL fall silent.
    PgHole,
    /// PostgreSQL is far away: every round trip takes 200 ms longer.
    PgSlow,
    /// Others take all connections that PostgreSQL has.
    PgConnections,
    /// The file system that the rows are on is full.
    DiskFull,
    /// The upstream accepts, and the answers are swallowed, cut, garbled or reset; it deduplicates.
    UpstreamCut,
    /// The same, and it does not deduplicate.
    UpstreamDoubles,
    /// The same, and it remembers an id for some seconds.
    UpstreamWindow,
    /// The same without deduplication, and the channels hold what may have been sent.
    UpstreamHold,
    /// The upstream is away: refused, then a black hole.
    Outage,
    /// Half of the channels have an upstream that hangs, drips, limits or fails.
    Isolation,
    /// The upstream fails every call for a while.
    #[value(name = "upstream-5xx")]
    Upstream5xx,
    /// The upstream refuses the key while messages wait.
    Credentials,
    /// The upstream limits the rate, with every kind of `Retry-After`.
    RateLimit,
    /// More messages than may go gather, each valid for seconds.
    Crowd,
    /// A workspace with a backlog shares an account's limit with a quiet one.
    Tenants,
    /// Quiet hours in a zone that has changed its offset.
    Quiet,
    /// All replicas are killed with many calls under way, of messages that are valid for seconds.
    Crash,
    /// A replica stands still until others have tried again what it had.
    Zombie,
    /// A message ends whoever sends it.
    Poison,
    /// Replicas run on machines with wrong clocks.
    Clock,
}

/// What a scenario is run with.
pub(crate) struct Plan {
    pub(crate) furniture: Furniture,
    /// Messages a second that are handed in.
    pub(crate) rate: f64,
    pub(crate) mix: Mix,
    pub(crate) expected: Expected,
    /// What the upstream knows of ids that it has seen.
    pub(crate) memory: Memory,
}

/// Messages a second that are handed in.
pub(crate) const RATE: f64 = 200.0;
/// The same where many shall wait before it is over.
const FILLING_RATE: f64 = 400.0;
/// Eight tenths of what so few channels may send.
const FEW_CHANNELS: usize = 2;
const CROWDED_RATE: f64 = 160.0;
/// Enough that every replica owns some, whichever is struck.
const CHANNELS: usize = 12;

impl Scenario {
    /// Its name on the command line and in verdicts.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Those that a tier plays where none is named.
    pub(crate) fn of(tier: Tier) -> Vec<Self> {
        let is_played = |scenario: &Self| tier == Tier::Long || !scenario.is_long();
        Self::value_variants().iter().copied().filter(is_played).collect()
    }

    /// Whether it may take over a minute however few faults there are: until a minute of the clock is over, or a replica has stood
    /// still for longer than claims last and what it had has gone.
    fn is_long(self) -> bool {
        [Self::Quiet, Self::Zombie].contains(&self)
    }

    /// Why it cannot be played on this machine, if it cannot.
    pub(crate) fn hindrance(self) -> Option<String> {
        if self.furniture().has_small_disk {
            return Disk::hindrance();
        }
        if self == Self::Clock { nemesis::clocks::hindrance() } else { None }
    }

    pub(crate) fn plan(self) -> Plan {
        let (rate, mix) = match self {
            Self::Credentials => (FILLING_RATE, Mix::Plain),
            Self::RateLimit | Self::Isolation => (RATE, Mix::Plain),
            Self::UpstreamHold => (RATE, Mix::Brief),
            // What became of a message is told by its key.
            Self::KillPoints => (RATE, Mix::Once),
            Self::Crowd => (CROWDED_RATE, Mix::ShortLived),
            Self::Crash => (RATE, Mix::ShortLived),
            Self::Tenants => (RATE, Mix::Lopsided),
            Self::Poison => (RATE, Mix::Poisoned),
            Self::Quiet | Self::Zombie | Self::Clock => (RATE, Mix::Varied),
            Self::Kill9 | Self::Pause | Self::Term | Self::Rolling => (RATE, Mix::Varied),
            Self::PgRestart | Self::PgBackend | Self::PgKill | Self::LostCommit => (RATE, Mix::Varied),
            Self::PgHole | Self::PgSlow | Self::PgConnections | Self::DiskFull => (RATE, Mix::Varied),
            Self::UpstreamCut | Self::UpstreamDoubles | Self::UpstreamWindow => (RATE, Mix::Varied),
            Self::Outage | Self::Upstream5xx => (RATE, Mix::Varied),
        };
        let memory = match self.expected().duplicates {
            Allowed::Counted if self == Self::UpstreamWindow => Memory::Seconds(WINDOW_SECONDS),
            Allowed::Counted => Memory::Nothing,
            Allowed::Never if self == Self::UpstreamHold => Memory::Nothing,
            Allowed::Never => Memory::All,
        };
        Plan { furniture: self.furniture(), rate, mix, expected: self.expected(), memory }
    }

    fn furniture(self) -> Furniture {
        let few = (self == Self::Crowd).then_some(FEW_CHANNELS);
        let varied = (self == Self::RateLimit).then_some(nemesis::limits::VARIANTS.len());
        let channels = few.or(varied).unwrap_or(CHANNELS);
        Furniture {
            channels,
            on_unknown: (self == Self::UpstreamHold).then_some("hold"),
            is_balanced: self == Self::Rolling,
            has_small_disk: self == Self::DiskFull,
        }
    }

    fn expected(self) -> Expected {
        let (never, counted) = (Allowed::Never, Allowed::Counted);
        let clean = Expected { duplicates: never, overlaps: never, ambiguity: never, unrecorded: never };
        let crashed = Expected { ambiguity: counted, unrecorded: counted, ..clean };
        match self {
            Self::Pause | Self::Zombie => Expected { overlaps: counted, ..crashed },
            Self::Kill9 | Self::KillPoints | Self::PgRestart | Self::PgBackend | Self::PgKill => crashed,
            Self::LostCommit | Self::PgHole | Self::PgSlow | Self::PgConnections | Self::DiskFull => crashed,
            Self::Crash | Self::Poison => crashed,
            Self::UpstreamCut | Self::UpstreamHold | Self::Outage => Expected { ambiguity: counted, ..clean },
            // An upstream that hangs learns late that its caller has gone.
            Self::Isolation => Expected { ambiguity: counted, overlaps: counted, ..clean },
            Self::UpstreamDoubles | Self::UpstreamWindow => {
                Expected { ambiguity: counted, duplicates: counted, ..clean }
            }
            Self::Term | Self::Rolling | Self::Upstream5xx | Self::Credentials | Self::RateLimit => clean,
            Self::Crowd | Self::Tenants | Self::Quiet | Self::Clock => clean,
        }
    }

    /// Does to the stage what the scenario is about.
    pub(crate) async fn strike(self, strike: &mut Strike<'_>) -> Result<Struck, String> {
        match self {
            Self::Kill9 => nemesis::replicas::kill(strike).await,
            Self::KillPoints => nemesis::points::kill(strike).await,
            Self::Pause => nemesis::replicas::pause(strike).await,
            Self::Term => nemesis::replicas::terminate(strike).await,
            Self::Rolling => nemesis::replicas::roll(strike).await,
            Self::PgRestart => nemesis::database::restart(strike).await,
            Self::PgBackend => nemesis::database::kill_backend(strike).await,
            Self::PgKill => nemesis::database::kill(strike).await,
            Self::LostCommit => nemesis::database::lose_commits(strike).await,
            Self::PgHole => nemesis::database::silence(strike).await,
            Self::PgSlow => nemesis::database::slow_down(strike).await,
            Self::PgConnections => nemesis::room::crowd(strike).await,
            Self::DiskFull => nemesis::room::fill(strike).await,
            Self::UpstreamCut | Self::UpstreamDoubles => nemesis::upstream::cut(strike, self.plan().memory).await,
            Self::UpstreamWindow => nemesis::upstream::cut_with_window(strike, WINDOW_SECONDS).await,
            Self::UpstreamHold => nemesis::upstream::cut_and_hold(strike).await,
            Self::Outage => nemesis::outage::cut_off(strike).await,
            Self::Isolation => nemesis::isolation::break_half(strike, CHANNELS).await,
            Self::Upstream5xx => nemesis::upstream::fail(strike).await,
            Self::Credentials => nemesis::limits::refuse_keys(strike).await,
            Self::RateLimit => nemesis::limits::limit_rates(strike).await,
            Self::Crowd => nemesis::crowds::gather(strike).await,
            Self::Tenants => nemesis::tenants::contend(strike).await,
            Self::Quiet => nemesis::quiet::close(strike).await,
            Self::Crash => nemesis::crashes::kill_all(strike).await,
            Self::Zombie => nemesis::crashes::outlive_claims(strike).await,
            Self::Poison => nemesis::poison::spread(strike).await,
            Self::Clock => nemesis::clocks::shift(strike).await,
        }
    }
}

/// How the upstream behaves where nothing else is asked for: as slow as a provider, by the id of the message.
pub(crate) fn ordinary(seed: u64, duplicates: &str) -> Value {
    let slow = |probability: f64, seed: u64, millis: u64| json!({ "probability": probability, "seed": seed, "answer": { "kind": "normal", "delayMillis": millis } });
    json!({
        "latencyMillis": 20, "duplicates": duplicates,
        "rules": [slow(0.05, seed.wrapping_add(1), 180), slow(0.3, seed.wrapping_add(2), 60)]
    })
}

/// A pause of the nemesis.
pub(crate) async fn rest(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_the_upstream_is_one_that_it_takes() {
        for duplicates in ["same", "second", "error"] {
            let script = ordinary(u64::MAX, duplicates).to_string();
            assert!(sandbox::Script::parse(script.as_bytes()).is_ok(), "{script}");
        }
    }

    #[test]
    fn the_short_tier_leaves_out_only_what_takes_long() {
        let (short, all) = (Scenario::of(Tier::Short), Scenario::value_variants());
        assert_eq!(Scenario::of(Tier::Long), all);
        let left_out: Vec<&Scenario> = all.iter().filter(|scenario| !short.contains(scenario)).collect();
        assert_eq!(left_out, [&Scenario::Quiet, &Scenario::Zombie]);
    }

    #[test]
    fn a_poor_upstream_meets_as_many_channels_as_its_scenario_is_about() {
        let channels = |scenario: Scenario| scenario.plan().furniture.channels;
        assert_eq!(channels(Scenario::RateLimit), nemesis::limits::VARIANTS.len());
        assert_eq!([Scenario::Crowd, Scenario::Kill9].map(channels), [FEW_CHANNELS, CHANNELS]);
    }

    #[test]
    fn duplicates_are_allowed_only_where_the_upstream_makes_them() {
        for scenario in Scenario::value_variants() {
            let may = scenario.plan().expected.duplicates == Allowed::Counted;
            let forgets = [Scenario::UpstreamDoubles, Scenario::UpstreamWindow].contains(scenario);
            assert_eq!(may, forgets, "{scenario:?}");
        }
    }
}
