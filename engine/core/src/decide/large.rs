//! The search where there are more quorums than can be enumerated one by one.
//!
//! Replicas that were observed alike (equal rows, equal `u`) are interchangeable: a quorum is, up to names, a number of
//! replicas from each class, and the one with the earliest members stands for all. Often that leaves few enough to see
//! them all. Where it does not, `joint` has an exact separable form, `evidence` is searched by branch and bound, and
//! `posterior` by exchanging replicas, without proof.

use super::Evidence;
use super::quorums::{Candidate, Criteria, Found, best, score_of};
use crate::decision::Quorum;
use crate::limits::{QUORUMS_MAX, SEARCH_NODES_MAX, TIE};
use crate::number::ln_sum_exp;

/// Finds the best quorum by `criteria`, beginning with `start`.
pub(crate) fn search(evidence: &Evidence, criteria: Criteria, start: Quorum) -> Found {
    let classes = Classes::of(evidence, start);
    let (quorum, exhaustive) = if classes.quorums(evidence.quorum_size()) <= QUORUMS_MAX {
        (best(&classes.candidates(evidence, criteria)), true)
    } else {
        match criteria {
            Criteria::Joint => separable(evidence),
            Criteria::Evidence => Bounded::run(evidence, &classes, start),
            Criteria::Posterior | Criteria::None => exchange(evidence, criteria, start),
        }
    };
    Found { quorum, hull: None, exhaustive }
}

/// Classes of interchangeable replicas, each in order of position.
struct Classes {
    members: Vec<Vec<usize>>,
}

impl Classes {
    /// Classes with a member in `start` come first: the search goes there first.
    fn of(evidence: &Evidence, start: Quorum) -> Self {
        let alike = |a: usize, b: usize| {
            evidence.ln_faulty[a] == evidence.ln_faulty[b] && evidence.row(a) == evidence.row(b)
        };
        let mut members: Vec<Vec<usize>> = Vec::new();
        for i in 0..evidence.units() {
            match members.iter_mut().find(|class| alike(class[0], i)) {
                Some(class) => class.push(i),
                None => members.push(vec![i]),
            }
        }
        members.sort_by_key(|class| !class.iter().any(|&i| start.contains(i)));
        Self { members }
    }

    /// How many quorums of `size` there are up to interchange, or more than any limit.
    fn quorums(&self, size: usize) -> u64 {
        let mut ways = vec![0u64; size + 1];
        ways[0] = 1;
        for class in &self.members {
            let before = ways.clone();
            for (total, way) in ways.iter_mut().enumerate() {
                *way =
                    (0..=class.len().min(total)).fold(0, |sum: u64, k| sum.saturating_add(before[total - k]));
            }
        }
        ways[size]
    }

    fn candidates(&self, evidence: &Evidence, criteria: Criteria) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut score = Vec::new();
        self.each(0, evidence.quorum_size(), Quorum::EMPTY, &mut |quorum| {
            score_of(evidence, quorum, &mut score);
            candidates.extend(Candidate::new(quorum, criteria, &score, 0.0));
        });
        candidates
    }

    fn each(&self, class: usize, missing: usize, quorum: Quorum, visit: &mut dyn FnMut(Quorum)) {
        let Some(members) = self.members.get(class) else {
            if missing == 0 {
                visit(quorum);
            }
            return;
        };
        let later: usize = self.members[class + 1..].iter().map(Vec::len).sum();
        for take in missing.saturating_sub(later)..=members.len().min(missing) {
            let with = members[..take].iter().fold(quorum, |q, &i| q.with(i));
            self.each(class + 1, missing - take, with, visit);
        }
    }
}

/// `joint`: for a fixed x the best quorum has the replicas of the largest `L_i(x) − ln u_i`.
fn separable(evidence: &Evidence) -> (Option<Quorum>, bool) {
    let size = evidence.quorum_size();
    let ranked: Vec<Ranked> = (0..evidence.points()).map(|x| Ranked::at(evidence, x, size)).collect();
    let top = ranked.iter().map(|r| r.score).fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return (None, true);
    }
    let mut quorums = Vec::new();
    let mut complete = true;
    for ranked in ranked.iter().filter(|r| r.score >= top - TIE) {
        complete &= ranked.within(ranked.score - (top - TIE), size, &mut quorums);
    }
    let mut score = Vec::new();
    let candidates: Vec<Candidate> = quorums
        .into_iter()
        .filter_map(|quorum| {
            score_of(evidence, quorum, &mut score);
            Candidate::new(quorum, Criteria::Joint, &score, 0.0)
        })
        .collect();
    (best(&candidates), complete)
}

/// The replicas in descending order of what each adds to the score at one grid point.
struct Ranked {
    gains: Vec<(f64, usize)>,
    score: f64,
}

impl Ranked {
    fn at(evidence: &Evidence, x: usize, size: usize) -> Self {
        let ln_u: f64 = evidence.ln_faulty.iter().sum();
        let gain = |i: usize| (evidence.row(i)[x] - evidence.ln_faulty[i], i);
        let mut gains: Vec<(f64, usize)> = (0..evidence.units()).map(gain).collect();
        gains.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let best: f64 = gains[..size].iter().map(|g| g.0).sum();
        Self { score: evidence.ln_prior[x] + ln_u + best, gains }
    }

    /// Adds the quorums that lose at most `slack` of the best score. `false` if there are more than are looked at;
    /// then the exactly tied ones with the earliest members are among those that were added.
    fn within(&self, slack: f64, size: usize, quorums: &mut Vec<Quorum>) -> bool {
        let last = self.gains[size - 1].0;
        // Only a replica whose gain is within the slack of the last one chosen can be exchanged.
        let fixed = self.gains.iter().take_while(|g| g.0 > last + slack).count();
        let open: Vec<(f64, usize)> =
            self.gains[fixed..].iter().copied().take_while(|g| g.0 >= last - slack).collect();
        let chosen: Quorum = self.gains[..fixed].iter().map(|g| g.1).collect();
        let most = quorums.len() + SEARCH_NODES_MAX;
        let missing = size - fixed;
        let best: f64 = open[..missing].iter().map(|g| g.0).sum();
        exchanges(&open, missing, chosen, best - slack, most, quorums)
    }
}

/// Every choice of `missing` replicas of `open` (in descending order) whose gains add up to at least `least`.
fn exchanges(
    open: &[(f64, usize)],
    missing: usize,
    chosen: Quorum,
    least: f64,
    most: usize,
    quorums: &mut Vec<Quorum>,
) -> bool {
    if missing == 0 {
        quorums.push(chosen);
        return true;
    }
    if open.len() < missing || open[..missing].iter().map(|g| g.0).sum::<f64>() < least {
        return true;
    }
    if quorums.len() >= most {
        return false;
    }
    let (gain, i) = open[0];
    let with = exchanges(&open[1..], missing - 1, chosen.with(i), least - gain, most, quorums);
    exchanges(&open[1..], missing, chosen, least, most, quorums) && with
}

/// `evidence` by branch and bound. At a node some replicas are decided; whatever the rest, at each grid point the score
/// is at most that with the best of the rest there, and the sum of these bounds bounds the evidence.
struct Bounded<'a> {
    evidence: &'a Evidence,
    /// Replicas in the order of branching, classes together, and whether the one before is of the same class.
    order: Vec<(usize, bool)>,
    candidates: Vec<Candidate>,
    best: f64,
    nodes: usize,
    gains: Vec<f64>,
}

impl<'a> Bounded<'a> {
    fn run(evidence: &'a Evidence, classes: &Classes, start: Quorum) -> (Option<Quorum>, bool) {
        let order = classes
            .members
            .iter()
            .flat_map(|class| class.iter().enumerate().map(|(place, &i)| (i, place > 0)));
        let mut search = Self {
            evidence,
            order: order.collect(),
            candidates: Vec::new(),
            best: f64::NEG_INFINITY,
            nodes: 0,
            gains: Vec::new(),
        };
        let (climbed, _) = exchange(evidence, Criteria::Evidence, start);
        search.judge(climbed.unwrap_or(start));
        let proven = search.descend(0, Quorum::EMPTY, 0, &evidence.ln_prior.clone(), true);
        (best(&search.candidates), proven)
    }

    fn judge(&mut self, quorum: Quorum) {
        let mut score = Vec::new();
        score_of(self.evidence, quorum, &mut score);
        if let Some(candidate) = Candidate::new(quorum, Criteria::Evidence, &score, 0.0) {
            self.best = self.best.max(candidate.first);
            let best = self.best;
            self.candidates.push(candidate);
            self.candidates.retain(|c| c.first >= best - TIE);
        }
    }

    /// `partial`: the prior with what the decided replicas add, in the quorum or not. `took`: whether the replica before
    /// was taken; of a class the earliest members are.
    fn descend(&mut self, depth: usize, quorum: Quorum, size: usize, partial: &[f64], took: bool) -> bool {
        let wanted = self.evidence.quorum_size();
        if size == wanted || depth == self.order.len() {
            if size == wanted {
                self.judge(quorum);
            }
            return true;
        }
        self.nodes += 1;
        if self.nodes > SEARCH_NODES_MAX {
            return false;
        }
        if self.bound(depth, wanted - size, partial) < self.best - TIE {
            return true;
        }
        let (i, same_class) = self.order[depth];
        let mut proven = true;
        if took || !same_class {
            let with: Vec<f64> = partial.iter().zip(self.evidence.row(i)).map(|(p, ln)| p + ln).collect();
            if with.iter().any(|&ln| ln > f64::NEG_INFINITY) {
                proven &= self.descend(depth + 1, quorum.with(i), size + 1, &with, true);
            }
        }
        if proven && self.order.len() - depth > wanted - size {
            let ln_faulty = self.evidence.ln_faulty[i];
            let without: Vec<f64> = partial.iter().map(|p| p + ln_faulty).collect();
            proven &= self.descend(depth + 1, quorum, size, &without, false);
        }
        proven
    }

    fn bound(&mut self, depth: usize, missing: usize, partial: &[f64]) -> f64 {
        let evidence = self.evidence;
        let rest = &self.order[depth..];
        let ln_rest: f64 = rest.iter().map(|&(i, _)| evidence.ln_faulty[i]).sum();
        let mut bounds = Vec::with_capacity(partial.len());
        for (x, partial) in partial.iter().enumerate() {
            self.gains.clear();
            self.gains.extend(rest.iter().map(|&(i, _)| evidence.row(i)[x] - evidence.ln_faulty[i]));
            self.gains.select_nth_unstable_by(missing - 1, |a, b| b.total_cmp(a));
            bounds.push(partial + ln_rest + self.gains[..missing].iter().sum::<f64>());
        }
        ln_sum_exp(bounds.iter().copied())
    }
}

/// From `start`, exchanges one replica of the quorum for one outside it while that is better. No proof.
fn exchange(evidence: &Evidence, criteria: Criteria, start: Quorum) -> (Option<Quorum>, bool) {
    let mut score = Vec::new();
    let mut judged = |quorum: Quorum| {
        score_of(evidence, quorum, &mut score);
        Candidate::new(quorum, criteria, &score, 0.0)
    };
    let mut current = judged(start);
    let mut left = SEARCH_NODES_MAX;
    loop {
        let from = current.map_or(start, |c| c.quorum);
        let better = |a: &Candidate, b: Option<&Candidate>| b.is_none_or(|b| a.first > b.first + TIE);
        let mut improved = None;
        for out in from.positions() {
            for into in (0..evidence.units()).filter(|&i| !from.contains(i)) {
                if left == 0 {
                    break;
                }
                left -= 1;
                let next = from.positions().filter(|&i| i != out).chain([into]).collect();
                if let Some(candidate) = judged(next)
                    && better(&candidate, improved.as_ref().or(current.as_ref()))
                {
                    improved = Some(candidate);
                }
            }
        }
        match improved {
            Some(candidate) if left > 0 => current = Some(candidate),
            Some(candidate) => return (Some(candidate.quorum), false),
            None => return (current.map(|c| c.quorum), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::quorums::Search;
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Random likelihoods of which some replicas share a row.
    fn random(rng: &mut ChaCha8Rng, alike: f64) -> Evidence {
        let (n, points) = (rng.random_range(2..11), rng.random_range(1..12));
        let mut evidence = Evidence {
            members: (0..n).map(|i| Quorum::EMPTY.with(i)).collect(),
            faults: rng.random_range(0..n),
            ln_prior: (0..points).map(|_| rng.random_range(-6.0..0.0)).collect(),
            ..Evidence::default()
        };
        for i in 0..n {
            let silent = rng.random_bool(0.2);
            let row: Vec<f64> = if i > 0 && rng.random_bool(alike) {
                evidence.ln_faulty.push(evidence.ln_faulty[i - 1]);
                evidence.row(i - 1).to_vec()
            } else {
                evidence.ln_faulty.push(if silent { -2.3 } else { -4.0 });
                let cell =
                    |_| if rng.random_bool(0.1) { f64::NEG_INFINITY } else { rng.random_range(-30.0..0.0) };
                (0..points).map(cell).collect()
            };
            evidence.ln_likelihood.extend(row);
        }
        evidence
    }

    fn check(
        alike: f64,
        search: impl Fn(&Evidence, &Classes, Criteria, Quorum) -> (Option<Quorum>, bool),
        proven: bool,
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for trial in 0..400 {
            let evidence = random(&mut rng, alike);
            let start: Quorum = (0..evidence.quorum_size()).collect();
            let classes = Classes::of(&evidence, start);
            for criteria in [Criteria::Posterior, Criteria::Joint, Criteria::Evidence] {
                let (found, exhaustive) = search(&evidence, &classes, criteria, start);
                let expected = Search::default().run(&evidence, criteria, start).quorum;
                if proven {
                    assert!(exhaustive);
                    assert_eq!(found, expected, "trial {trial}, {criteria:?}");
                } else {
                    assert!(!exhaustive);
                }
            }
        }
    }

    #[test]
    fn classes_of_interchangeable_replicas_stand_for_all_quorums() {
        check(0.7, |e, classes, criteria, _| (best(&classes.candidates(e, criteria)), true), true);
    }

    #[test]
    fn the_separable_form_and_branch_and_bound_find_what_enumeration_finds() {
        for alike in [0.0, 0.5] {
            let search = |e: &Evidence, classes: &Classes, criteria: Criteria, start: Quorum| match criteria {
                Criteria::Joint => separable(e),
                Criteria::Evidence => Bounded::run(e, classes, start),
                _ => (Search::default().run(e, criteria, start).quorum, true),
            };
            check(alike, search, true);
        }
    }

    #[test]
    fn what_is_not_proven_is_said() {
        check(0.0, |e, _, criteria, start| exchange(e, criteria, start), false);
    }

    #[test]
    fn classes_are_counted() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for _ in 0..200 {
            let evidence = random(&mut rng, 0.6);
            let classes = Classes::of(&evidence, Quorum::EMPTY);
            let mut seen = 0;
            classes.each(0, evidence.quorum_size(), Quorum::EMPTY, &mut |_| seen += 1);
            assert_eq!(classes.quorums(evidence.quorum_size()), seen);
        }
    }
}
