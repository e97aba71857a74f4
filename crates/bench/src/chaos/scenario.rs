//! The scenarios: what each loads, what it may show, and its nemesis.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::dice::Dice;
use super::nemesis::{self, Strike};
use super::order::Mix;
use super::stage::Stage;
use super::verdict::{Allowed, Expected, Struck};

/// How long it all may take.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    /// A few faults each, five minutes together.
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
    /// One replica after the other is asked to end, and starts again.
    Term,
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
    /// The upstream accepts, and the answers are swallowed, cut, garbled or reset; it deduplicates.
    UpstreamCut,
    /// The same, and it does not deduplicate.
    UpstreamDoubles,
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
    pub(crate) channels: usize,
    /// Messages a second that are handed in.
    pub(crate) rate: f64,
    pub(crate) mix: Mix,
    pub(crate) expected: Expected,
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

    pub(crate) fn plan(self) -> Plan {
        let (never, counted) = (Allowed::Never, Allowed::Counted);
        let clean = Expected { duplicates: never, overlaps: never, ambiguity: never, unrecorded: never };
        let crashed = Expected { ambiguity: counted, unrecorded: counted, ..clean };
        let expected = match self {
            Self::Pause => Expected { overlaps: counted, ..crashed },
            Self::Kill9 | Self::PgRestart | Self::PgBackend | Self::PgKill | Self::LostCommit => crashed,
            Self::PgHole | Self::PgSlow => crashed,
            Self::UpstreamCut => Expected { ambiguity: counted, ..clean },
            Self::UpstreamDoubles => Expected { ambiguity: counted, duplicates: counted, ..clean },
            Self::Term | Self::Upstream5xx | Self::Credentials | Self::RateLimit => clean,
            Self::Crowd | Self::Tenants | Self::Quiet | Self::Clock => clean,
            Self::Crash | Self::Poison => crashed,
            Self::Zombie => Expected { overlaps: counted, ..crashed },
        };
        let (mut plan, plain) = (Plan { channels: CHANNELS, rate: RATE, mix: Mix::Varied, expected }, Mix::Plain);
        match self {
            Self::Credentials => (plan.rate, plan.mix) = (FILLING_RATE, plain),
            Self::RateLimit => (plan.channels, plan.mix) = (nemesis::limits::VARIANTS.len(), plain),
            Self::Crowd => (plan.channels, plan.rate, plan.mix) = (FEW_CHANNELS, CROWDED_RATE, Mix::ShortLived),
            Self::Tenants => plan.mix = Mix::Lopsided,
            Self::Crash => plan.mix = Mix::ShortLived,
            Self::Poison => plan.mix = Mix::Poisoned,
            Self::Kill9
            | Self::Pause
            | Self::Term
            | Self::PgRestart
            | Self::PgBackend
            | Self::PgKill
            | Self::LostCommit
            | Self::PgHole
            | Self::PgSlow
            | Self::UpstreamCut
            | Self::UpstreamDoubles
            | Self::Quiet
            | Self::Zombie
            | Self::Clock
            | Self::Upstream5xx => {}
        }
        plan
    }

    /// Does to the stage what the scenario is about.
    pub(crate) async fn strike(self, stage: &mut Stage, seed: u64, tier: Tier) -> Result<Struck, String> {
        let mut strike = Strike { stage, dice: Dice::of(seed, &format!("nemesis {}", self.name())), tier };
        let strike = &mut strike;
        match self {
            Self::Kill9 => nemesis::replicas::kill(strike).await,
            Self::Pause => nemesis::replicas::pause(strike).await,
            Self::Term => nemesis::replicas::terminate(strike).await,
            Self::PgRestart => nemesis::database::restart(strike).await,
            Self::PgBackend => nemesis::database::kill_backend(strike).await,
            Self::PgKill => nemesis::database::kill(strike).await,
            Self::LostCommit => nemesis::database::lose_commits(strike).await,
            Self::PgHole => nemesis::database::silence(strike).await,
            Self::PgSlow => nemesis::database::slow_down(strike).await,
            Self::UpstreamCut => nemesis::upstream::cut(strike, "same").await,
            Self::UpstreamDoubles => nemesis::upstream::cut(strike, "second").await,
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
    fn duplicates_are_allowed_only_where_the_upstream_makes_them() {
        for scenario in Scenario::value_variants() {
            let may = scenario.plan().expected.duplicates == Allowed::Counted;
            assert_eq!(may, *scenario == Scenario::UpstreamDoubles, "{scenario:?}");
        }
    }
}
