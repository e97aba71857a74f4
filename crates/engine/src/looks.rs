//! When and from where a lane looks for rows.
//!
//! A look begins where the last one ended: rows due before were taken, or are told of by a hint. Without hints it would
//! walk over what was taken and ended since, which stays in the index for a while, and for long beside an old transaction.
//! The owner's own look goes back to the beginning from time to time, so a lost hint delays a message and loses none.

use std::sync::Arc;
use std::time::Duration;

use domain::message::Lane;
use domain::outcome::OnUnknown;
use jiff::Timestamp;
use store::lease::Lease;
use store::outbox::{Room, Wanted};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::claimer::{Answer, Claimer};
use crate::wake::LetterBox;

/// Lanes of a channel.
const LANES: usize = Lane::ALL.len();
/// Without a hint there is nothing to look for; a timer needs an instant all the same.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// Looks of one channel.
pub(crate) struct Looks {
    letters: Arc<LetterBox>,
    on_unknown: OnUnknown,
    /// When the next claim may find something in a lane, by its index.
    at: [Instant; LANES],
    /// Where it begins.
    due_from: [Timestamp; LANES],
    /// What was told since the claim that is under way was asked for.
    told: [Option<Timestamp>; LANES],
    /// The claim that is under way, and what it asked for.
    asked: Option<(oneshot::Receiver<Answer>, Room)>,
    /// What a claim without an answer may have taken, by the lane's index: from where on it looked, and when its claims lapse.
    lost: [Option<(Timestamp, Instant)>; LANES],
}

impl Looks {
    /// Everything is to be looked for, from the beginning.
    pub(crate) fn new(letters: Arc<LetterBox>, on_unknown: OnUnknown) -> Self {
        let due_from = letters.due_from();
        let at = [Instant::now(); LANES];
        Self { letters, on_unknown, at, due_from, told: [None; LANES], asked: None, lost: [None; LANES] }
    }

    /// Takes in what was told of a lane; it may be taken at an instant.
    pub(crate) fn tell(&mut self, lane: Lane, due_from: Timestamp, at: Instant) {
        let index = lane.index();
        self.at[index] = at.min(self.at[index]);
        self.told[index] = Some(self.told[index].map_or(due_from, |from| from.min(due_from)));
    }

    /// All lanes are worth a look now, from where they were.
    pub(crate) fn look_now(&mut self) {
        self.at = [Instant::now(); LANES];
    }

    /// All lanes are worth a look after a pause.
    pub(crate) fn look_after(&mut self, pause: Duration) {
        self.at = [Instant::now() + pause; LANES];
    }

    /// Whether a claim is under way.
    pub(crate) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks for rows of the lanes that are worth a look and have room.
    pub(crate) fn ask(&mut self, claimer: &Claimer, lease: &Lease, mut room: Room) {
        let now = Instant::now();
        for lane in Lane::ALL {
            if let Some((from, _)) = self.lost[lane.index()].take_if(|(_, at)| *at <= now) {
                self.tell(lane, from, now);
            }
        }
        for (room, at) in room.lanes.iter_mut().zip(self.at) {
            *room = if at > now { 0 } else { *room };
        }
        room.total = room.total.min(room.lanes.iter().sum());
        if room.total == 0 || self.asked.is_some() {
            return;
        }
        for ((due_from, told), _) in
            self.due_from.iter_mut().zip(&mut self.told).zip(room.lanes).filter(|(_, n)| *n > 0)
        {
            *due_from = told.take().map_or(*due_from, |told| told.min(*due_from));
        }
        let wanted = Wanted { lease: *lease, due_from: self.due_from, room, on_unknown: self.on_unknown };
        for (at, _) in self.at.iter_mut().zip(room.lanes).filter(|(_, room)| *room > 0) {
            *at = now + NEVER;
        }
        self.asked = Some((claimer.ask(wanted), room));
    }

    /// The answer to the claim that is under way, `None` when it failed; waits for ever when none is.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let Some((answered, _)) = &mut self.asked else { return std::future::pending().await };
        answered.await.ok()
    }

    /// Takes in an answer.
    pub(crate) fn take(&mut self, answer: &Answer) {
        let Some((_, room)) = self.asked.take() else { return };
        let is_cut = answer.claimed.len() >= room.total;
        for lane in Lane::ALL.into_iter().filter(|lane| room.lanes[lane.index()] > 0) {
            let index = lane.index();
            let mut taken = answer.claimed.iter().filter(|message| message.lane == lane).map(|message| message.due_at);
            let count = taken.clone().count();
            if count == room.lanes[index] || is_cut {
                // There may be more, due from the last one on.
                self.at[index] = Instant::now();
                self.due_from[index] =
                    taken.next_back().map_or(self.due_from[index], |last| last.max(self.due_from[index]));
            } else {
                self.due_from[index] = answer.now.max(self.due_from[index]);
            }
        }
        self.letters.set_due_from(self.due_from);
    }

    /// The claim that is under way failed. If it was carried out all the same, what it took may be taken again after a time.
    pub(crate) fn fail(&mut self, pause: Duration, lapse: Duration) {
        if let Some((_, room)) = self.asked.take() {
            let at = Instant::now() + lapse;
            for index in (0..LANES).filter(|index| room.lanes[*index] > 0) {
                let from = self.lost[index].map_or(self.due_from[index], |(from, _)| from.min(self.due_from[index]));
                self.lost[index] = Some((from, at));
            }
        }
        self.look_after(pause);
    }

    /// When a claim may find something that there is room for; `None` without room, or while one is under way.
    pub(crate) fn next(&self, room: Room) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        let lost = self.lost.map(|lost| lost.map(|(_, at)| at));
        let looks = self.at.into_iter().zip(lost).zip(room.lanes).filter(|(_, room)| *room > 0);
        let looks = looks.map(|((at, lost), _)| lost.map_or(at, |lost| lost.min(at)));
        looks.min().filter(|_| room.total > 0)
    }
}

#[cfg(test)]
mod tests {
    use domain::id::{ChannelId, MessageId, WorkspaceId};
    use domain::phone::PhoneNumber;
    use domain::schedule::DueReason;
    use store::outbox::Claimed;
    use uuid::Uuid;

    use super::*;
    use crate::claimer::Asked;
    use crate::wake::Wake;

    const FULL: Room = Room { lanes: [10; LANES], total: 30 };
    const LEASE: Lease = Lease {
        workspace: WorkspaceId(Uuid::nil()),
        channel: ChannelId(Uuid::nil()),
        epoch: 1,
        revision: 1,
        rest: Duration::ZERO,
        account: None,
        is_apart: false,
    };
    const START: i64 = 1_795_680_000;
    const LAPSE: Duration = Duration::from_secs(30);

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(START + second).expect("an instant")
    }

    fn claimed(lane: Lane, due_at: Timestamp) -> Claimed {
        Claimed {
            id: MessageId(Uuid::nil()),
            workspace: LEASE.workspace,
            channel: LEASE.channel,
            lane,
            waited_for: DueReason::Requested,
            claim: 1,
            recipient: PhoneNumber::parse("+254712345678").expect("a number"),
            parts: Vec::new(),
            part: 0,
            tries: 1,
            maybe_sent: false,
            may_repeat: false,
            expires_at: second(3600),
            due_at,
            use_case: None,
            ignores_quiet_hours: false,
            paused_until: None,
        }
    }

    /// Looks of a channel, and the claimer whose requests are answered by hand.
    struct Bench {
        looks: Looks,
        claimer: Claimer,
        asked: Asked,
    }

    impl Bench {
        fn new() -> Self {
            let (claimer, asked) = Asked::claimer();
            Self { looks: Looks::new(Wake::default().open(LEASE.channel), OnUnknown::Repeat), claimer, asked }
        }

        /// Asks with room; answers what was asked for and who waits for the answer.
        fn ask(&mut self, room: Room) -> (Wanted, oneshot::Sender<Answer>) {
            self.looks.ask(&self.claimer, &LEASE, room);
            self.asked.next()
        }

        fn asks_nothing(&mut self, room: Room) -> bool {
            self.looks.ask(&self.claimer, &LEASE, room);
            self.asked.is_empty()
        }

        /// The claim under way found these, at this second.
        async fn found(&mut self, answer: oneshot::Sender<Answer>, claimed: Vec<Claimed>, at: i64) {
            let found = Answer { claimed, asked_at: Instant::now(), now: second(at) };
            answer.send(found).expect("it waits");
            let answer = self.looks.answer().await.expect("an answer");
            self.looks.take(&answer);
        }

        fn tell(&mut self, lane: Lane, at: i64) {
            self.looks.tell(lane, second(at), Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_claim_that_found_all_nothing_is_asked_for_without_a_hint() {
        let mut bench = Bench::new();
        let (wanted, answer) = bench.ask(FULL);
        assert_eq!((wanted.due_from, wanted.room), ([Timestamp::UNIX_EPOCH; LANES], FULL));
        assert!(bench.asks_nothing(FULL), "one at a time");
        bench.found(answer, vec![claimed(Lane::Normal, second(1))], 10).await;
        assert!(bench.asks_nothing(FULL));
        bench.tell(Lane::Normal, 12);
        let (wanted, _) = bench.ask(FULL);
        assert_eq!(wanted.room.lanes, [0, 10, 0], "only where something was told of");
        assert_eq!(wanted.due_from[Lane::Normal.index()], second(10), "from where the last claim looked up to");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_while_a_claim_is_under_way_is_not_lost() {
        let mut bench = Bench::new();
        let (_, answer) = bench.ask(FULL);
        // Accepted before the claim's instant and committed after it looked.
        bench.tell(Lane::Urgent, 5);
        bench.tell(Lane::Urgent, 7);
        bench.found(answer, Vec::new(), 10).await;
        let (wanted, answer) = bench.ask(FULL);
        assert_eq!((wanted.room.lanes, wanted.due_from[0]), ([10, 0, 0], second(5)));
        bench.found(answer, vec![claimed(Lane::Urgent, second(5))], 11).await;
        bench.tell(Lane::Urgent, 12);
        assert_eq!(bench.ask(FULL).0.due_from[0], second(11), "what was told once is looked at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_answer_goes_on_from_its_last_row() {
        let mut bench = Bench::new();
        let room = Room { lanes: [0, 3, 0], total: 3 };
        let (_, answer) = bench.ask(room);
        let rows = [1, 2, 2].map(|at| claimed(Lane::Normal, second(at)));
        bench.found(answer, rows.to_vec(), 10).await;
        let (wanted, answer) = bench.ask(room);
        assert_eq!(wanted.due_from[Lane::Normal.index()], second(2), "there may be more of the same instant");
        bench.found(answer, vec![claimed(Lane::Normal, second(4))], 11).await;
        assert!(bench.asks_nothing(room));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_cut_by_the_room_of_all_leaves_no_lane_out() {
        let mut bench = Bench::new();
        let room = Room { lanes: [2, 2, 2], total: 2 };
        let (_, answer) = bench.ask(room);
        let rows = [1, 3].map(|at| claimed(Lane::Urgent, second(at)));
        bench.found(answer, rows.to_vec(), 10).await;
        let (wanted, _) = bench.ask(room);
        let epoch = Timestamp::UNIX_EPOCH;
        assert_eq!((wanted.room.lanes, wanted.due_from), (room.lanes, [second(3), epoch, epoch]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_failed_is_asked_for_again_from_where_it_was() {
        let mut bench = Bench::new();
        let (_, answer) = bench.ask(FULL);
        bench.found(answer, Vec::new(), 10).await;
        bench.tell(Lane::Bulk, 4);
        let (wanted, answer) = bench.ask(FULL);
        assert_eq!(wanted.due_from[Lane::Bulk.index()], second(4));
        drop(answer);
        assert!(bench.looks.answer().await.is_none());
        bench.looks.fail(Duration::from_millis(100), LAPSE);
        assert!(bench.asks_nothing(FULL), "not before the pause is over");
        assert_eq!(bench.looks.next(FULL), Some(Instant::now() + Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(100)).await;
        let (wanted, answer) = bench.ask(FULL);
        assert_eq!(wanted.due_from[Lane::Bulk.index()], second(4));
        bench.found(answer, Vec::new(), 20).await;
        assert_eq!(bench.looks.next(FULL), Some(Instant::now() + LAPSE - Duration::from_millis(100)));
        tokio::time::advance(LAPSE).await;
        let (wanted, answer) = bench.ask(FULL);
        assert_eq!(wanted.room.lanes, [0, 0, 10], "where something may have been taken");
        assert_eq!(wanted.due_from[Lane::Bulk.index()], second(4));
        bench.found(answer, Vec::new(), 60).await;
        assert!(bench.asks_nothing(FULL), "once");
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_a_hint_waits() {
        let mut bench = Bench::new();
        assert!(bench.asks_nothing(Room::default()));
        assert_eq!(bench.looks.next(Room::default()), None);
        assert_eq!(bench.looks.next(FULL), Some(Instant::now()));
        let urgent = Room { lanes: [1, 0, 0], total: 1 };
        assert_eq!(bench.ask(urgent).0.room, urgent);
        assert_eq!(bench.looks.next(FULL), None, "a claim is under way");
    }
}
