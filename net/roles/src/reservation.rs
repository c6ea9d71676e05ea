//! What a receiver must have on its disk so that it accepts nothing twice, however it ends.

/// How far ahead a [`Reservation`] reaches, and when it is renewed. Nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservationPolicy {
    /// A frame's timestamp may be this much ahead of the receiver's clock.
    pub clock_ahead_ns: i64,
    /// So much longer a reservation holds than it must when it is made.
    pub margin_ns: i64,
    /// So much of the margin may pass before it is renewed.
    pub renew_after_ns: i64,
}

impl Default for ReservationPolicy {
    /// A second ahead; half a second of margin, renewed after a quarter.
    fn default() -> Self {
        Self { clock_ahead_ns: 1_000_000_000, margin_ns: 500_000_000, renew_after_ns: 250_000_000 }
    }
}

/// A reservation of timestamps: the durable promise "frames with timestamps up to W may have been accepted", made *before* they are.
///
/// A receiver forgets at its end which nonces it saw. If it begins again at a floor above every timestamp that it can have
/// accepted, it need not remember any: what it accepted before is stale. So it keeps one number, W, on its disk, and
/// accepts a timestamp only if it is at most W ([`Reservation::admits`]).
///
/// It is a state machine without a disk and a clock: ask [`Reservation::due`] now and then, store what it says, and tell
/// [`Reservation::stored`] or [`Reservation::failed`].
///
/// Where the disk fails W stays behind the clock. The receiver then goes on without a reservation, up to its clock's time and not
/// beyond ([`Reservation::lapses`] counts how often that began). As long as its clock is not set back, a receiver that begins
/// later still refuses all of it, for its floor is at least its clock's time.
///
/// ```
/// use centauri_roles::{Reservation, ReservationPolicy};
/// const S: i64 = 1_000_000_000;
/// let mut reservation = Reservation::begin(ReservationPolicy::default(), Some(7 * S), 5 * S);
/// assert_eq!(reservation.floor_ns(), 7 * S + 1);
/// let wanted = reservation.due(7 * S).expect("nothing is reserved yet");
/// assert_eq!(wanted, 8 * S + S / 2);
/// assert!(!reservation.admits(7 * S, 8 * S));
/// reservation.stored(wanted);
/// // As far ahead of the clock as the policy allows, and no further.
/// assert!(reservation.admits(7 * S, 8 * S) && !reservation.admits(7 * S, 8 * S + 1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    policy: ReservationPolicy,
    /// W as it is stored, if anything is.
    stored_ns: Option<i64>,
    /// What is to be stored, from [`Reservation::due`] to [`Reservation::stored`] or [`Reservation::failed`].
    asked_ns: Option<i64>,
    /// What was stored before this receiver began.
    found_ns: Option<i64>,
    floor_ns: i64,
    has_lapsed: bool,
    lapses: u64,
}

impl Reservation {
    /// Begins at time `now_ns` with what an earlier receiver left in store.
    #[must_use]
    pub fn begin(policy: ReservationPolicy, stored_ns: Option<i64>, now_ns: i64) -> Self {
        let above = stored_ns.map_or(i64::MIN, |stored| stored.saturating_add(1));
        Self {
            policy,
            stored_ns,
            asked_ns: None,
            found_ns: stored_ns,
            floor_ns: now_ns.max(above),
            has_lapsed: false,
            lapses: 0,
        }
    }

    /// No timestamp below this may be accepted: the clock's time at the beginning, or what follows the reservation found.
    #[must_use]
    pub fn floor_ns(&self) -> i64 {
        self.floor_ns
    }

    /// How far the reservation found reaches beyond the clock at the beginning; 0 where it does not. More than the
    /// policy's clock and margin together means that the clock was set back.
    #[must_use]
    pub fn found_ahead_ns(&self, now_ns: i64) -> i64 {
        self.floor_ns.saturating_sub(now_ns).max(0)
    }

    /// W, the newest timestamp that the store allows; `i64::MIN` before anything is stored.
    #[must_use]
    pub fn reserved_ns(&self) -> i64 {
        self.stored_ns.unwrap_or(i64::MIN)
    }

    /// What is to be stored now, if it is time. The same is not asked for twice at a time.
    pub fn due(&mut self, now_ns: i64) -> Option<i64> {
        self.look(now_ns);
        let Self { policy, asked_ns, .. } = *self;
        let least = now_ns.saturating_add(policy.clock_ahead_ns);
        let wanted = least.saturating_add(policy.margin_ns);
        let renew_from = wanted.saturating_sub(policy.renew_after_ns).max(least);
        if asked_ns.is_some() || self.stored_ns.is_some_and(|stored| stored >= renew_from) {
            return None;
        }
        self.asked_ns = Some(wanted);
        Some(wanted)
    }

    /// This is on the disk.
    pub fn stored(&mut self, reserved_ns: i64) {
        (self.asked_ns, self.has_lapsed) = (None, false);
        self.stored_ns = Some(self.stored_ns.map_or(reserved_ns, |before| before.max(reserved_ns)));
    }

    /// What was asked for could not be stored, or nobody knows; it is due again.
    pub fn failed(&mut self) {
        self.asked_ns = None;
    }

    /// Notes whether the reservation has lapsed: the clock has passed it.
    pub fn look(&mut self, now_ns: i64) {
        let lapsed = now_ns > self.reserved_ns();
        self.lapses += u64::from(lapsed && !self.has_lapsed && self.stored_ns != self.found_ns);
        self.has_lapsed = lapsed;
    }

    /// How often the clock passed the reservation, because it could not be renewed in time.
    #[must_use]
    pub fn lapses(&self) -> u64 {
        self.lapses
    }

    /// Whether a frame of this timestamp may be accepted at `now_ns`.
    #[must_use]
    pub fn admits(&self, now_ns: i64, timestamp_ns: i64) -> bool {
        let ahead = now_ns.saturating_add(self.policy.clock_ahead_ns);
        (self.floor_ns..=ahead.min(self.reserved_ns().max(now_ns))).contains(&timestamp_ns)
    }

    /// What to store at an orderly end at `now_ns`, after the last frame was accepted, so that the next receiver need not wait: the
    /// newest timestamp accepted, if that is not before the clock's time, by which rounds were decided. Never
    /// less than what this receiver found, for that guards what was accepted before it.
    #[must_use]
    pub fn release_ns(&self, newest_accepted_ns: Option<i64>, now_ns: i64) -> i64 {
        let newest = newest_accepted_ns.map_or(now_ns, |newest| newest.max(now_ns));
        newest.max(self.found_ns.unwrap_or(i64::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;

    fn begun(stored: Option<i64>, now: i64) -> Reservation {
        Reservation::begin(ReservationPolicy::default(), stored, now)
    }

    #[test]
    fn it_is_renewed_when_a_quarter_of_a_second_has_passed() {
        let mut reservation = begun(None, 10 * S);
        let first = reservation.due(10 * S).unwrap();
        assert_eq!(first, 11 * S + 500 * MS);
        assert_eq!(reservation.due(10 * S), None, "it is being stored");
        reservation.stored(first);
        assert_eq!(reservation.due(10 * S + 250 * MS), None);
        assert_eq!(reservation.due(10 * S + 250 * MS + 1), Some(first + 250 * MS + 1));
    }

    #[test]
    fn what_failed_is_due_again_and_a_lapse_is_counted_once() {
        let mut reservation = begun(None, 0);
        let first = reservation.due(0).unwrap();
        reservation.stored(first);
        for now in [S, 2 * S, 3 * S] {
            assert!(reservation.due(now).is_some(), "{now}");
            reservation.failed();
        }
        assert_eq!((reservation.lapses(), reservation.reserved_ns()), (1, first));
        assert!(reservation.admits(3 * S, 3 * S) && !reservation.admits(3 * S, 3 * S + 1));
        let again = reservation.due(3 * S).unwrap();
        reservation.stored(again);
        assert!(reservation.admits(3 * S, 4 * S));
        reservation.look(9 * S);
        assert_eq!(reservation.lapses(), 2);
    }

    #[test]
    fn an_old_reservation_is_no_lapse_of_the_next_receiver() {
        let mut reservation = begun(Some(S), 100 * S);
        assert!(reservation.due(100 * S).is_some());
        assert_eq!((reservation.lapses(), reservation.floor_ns()), (0, 100 * S));
    }

    #[test]
    fn an_orderly_end_gives_back_what_was_not_used_but_not_what_was_found() {
        assert_eq!(begun(None, 0).release_ns(None, 5 * S), 5 * S);
        assert_eq!(begun(None, 0).release_ns(Some(4 * S), 5 * S), 5 * S);
        assert_eq!(begun(None, 0).release_ns(Some(6 * S), 5 * S), 6 * S);
        let clock_was_set_back = begun(Some(50 * S), 0);
        assert_eq!(clock_was_set_back.found_ahead_ns(0), 50 * S + 1);
        assert_eq!(clock_was_set_back.release_ns(None, 5 * S), 50 * S);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut reservation = begun(Some(i64::MAX), i64::MIN);
        assert_eq!(reservation.floor_ns(), i64::MAX);
        assert_eq!(reservation.found_ahead_ns(i64::MIN), i64::MAX);
        assert_eq!(reservation.due(i64::MAX), None);
        assert_eq!(begun(None, i64::MAX).due(i64::MAX), Some(i64::MAX));
        assert_eq!(begun(Some(i64::MIN), i64::MIN).release_ns(Some(i64::MIN), i64::MIN), i64::MIN);
    }

    /// What happens to a receiver and its disk.
    #[derive(Debug, Clone)]
    enum Event {
        Wait(i64),
        SetClock(i64),
        Look,
        DiskDone,
        DiskFails,
        Frame(i64),
        Kill,
        End,
    }

    fn event(fails: bool, sets_clock: bool) -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..400 * MS).prop_map(Event::Wait),
            u32::from(sets_clock) => (-5 * S..5 * S).prop_map(Event::SetClock),
            6 => Just(Event::Look),
            5 => Just(Event::DiskDone),
            2 * u32::from(fails) => Just(Event::DiskFails),
            9 => (-2 * S..2 * S).prop_map(Event::Frame),
            1 => Just(Event::Kill),
            1 => Just(Event::End),
        ]
    }

    /// A receiver that takes in nothing before its first reservation is on the disk.
    fn ready(disk: &mut Option<i64>, clock: i64) -> Reservation {
        let mut reservation = begun(*disk, clock);
        if let Some(reserved) = reservation.due(clock) {
            *disk = (*disk).max(Some(reserved));
            reservation.stored(reserved);
        }
        reservation
    }

    /// Runs receivers one after the other on one disk: whatever one accepts is newer than all that those before it accepted.
    fn run(events: Vec<Event>) -> Result<usize, TestCaseError> {
        let (mut clock, mut disk) = (1_000 * S, None);
        let mut reservation = ready(&mut disk, clock);
        let mut writing = None;
        let (mut earlier, mut own): (BTreeSet<i64>, BTreeSet<i64>) = Default::default();
        let mut total = 0;
        for event in events {
            match event {
                Event::Wait(ns) => clock += ns,
                Event::SetClock(ns) => clock += ns,
                Event::Look => writing = writing.or(reservation.due(clock)),
                Event::DiskDone => {
                    if let Some(reserved) = writing.take() {
                        disk = disk.max(Some(reserved));
                        reservation.stored(reserved);
                    }
                }
                Event::DiskFails => {
                    if writing.take().is_some() {
                        reservation.failed();
                    }
                }
                Event::Frame(ahead) => {
                    let timestamp = clock + ahead;
                    if reservation.admits(clock, timestamp) {
                        let newest = earlier.last().copied().unwrap_or(i64::MIN);
                        prop_assert!(timestamp > newest, "{timestamp} after {newest}");
                        own.insert(timestamp);
                        total += 1;
                    }
                }
                Event::Kill | Event::End => {
                    if matches!(event, Event::End) {
                        disk = Some(reservation.release_ns(own.last().copied(), clock));
                    }
                    // Nothing begins in the same nanosecond.
                    clock += 1;
                    writing = None;
                    earlier.append(&mut own);
                    reservation = ready(&mut disk, clock);
                }
            }
        }
        Ok(total)
    }

    proptest! {
        #[test]
        fn nothing_is_accepted_twice_while_the_disk_works_wherever_the_clock_goes(
            events in proptest::collection::vec(event(false, true), 0..300),
        ) {
            // A reservation that lapses because nobody looks counts as a failing disk: time passes only with looks here.
            let with_looks = events.into_iter().flat_map(|event| match event {
                Event::Wait(_) | Event::SetClock(_) => vec![event, Event::Look, Event::DiskDone],
                other => vec![other],
            });
            run(with_looks.collect())?;
        }

        #[test]
        fn nothing_is_accepted_twice_while_the_clock_goes_on_whatever_the_disk_does(
            events in proptest::collection::vec(event(true, false), 0..300),
        ) {
            run(events)?;
        }
    }

    #[test]
    fn the_properties_above_see_frames_accepted() {
        let once = [Event::Look, Event::DiskDone, Event::Frame(S), Event::Kill, Event::Wait(2 * S)];
        let events = once.iter().cycle().take(50).cloned().collect();
        assert!(run(events).unwrap() >= 9);
    }
}
