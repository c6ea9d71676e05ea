//! A replica's reason in plain words.

use super::{Explanation, ReplicaReason};
use crate::decision::Status;
use crate::observation::Report;
use crate::plain::{exact, figure, probability};

impl Explanation {
    /// Why the replica at `position` is in the quorum, or is not, in one sentence that needs nothing else to be read but
    /// the names of stream, round and replica. Empty for a position beyond the set.
    #[must_use]
    pub fn sentence(&self, position: usize) -> String {
        let Some(reason) = self.replicas.get(position) else { return String::new() };
        if reason.report == Report::Equivocated {
            return "left out: it signed two different values for the round and is proven faulty, so it left the set and \
                    took one fault with it; this decision is the one without it"
                .to_owned();
        }
        if reason.left_with_group {
            return "left out: another replica of its fault group signed two different values for the round and is proven \
                    faulty, so the whole group left the set and took one fault with it; this decision is the one without it"
                .to_owned();
        }
        let mut parts = vec![format!("{}: {}", self.place(reason), self.fit(reason))];
        if let Some(p) = reason.honest {
            parts.push(format!("P(honest) {}", probability(p)));
        }
        parts.push(self.without(reason));
        parts.join("; ")
    }

    /// In or out; and out although nothing is wrong, for a quorum leaves f replicas out even when all are honest.
    fn place(&self, reason: &ReplicaReason) -> String {
        let size = self.units_left - self.faults_left.min(self.units_left);
        let units = if self.units_left < self.replicas_left {
            format!("{} fault groups", self.units_left)
        } else {
            self.units_left.to_string()
        };
        let fits = reason.ln_likelihood > reason.ln_faulty;
        match (self.decision.status, reason.in_quorum) {
            (Status::NoQuorum, _) => "no quorum is possible".to_owned(),
            (Status::Decided, true) => "in the quorum".to_owned(),
            (Status::Decided, false) if fits => format!(
                "left out although it fits (the quorum holds {size} of {units}, and the others are likelier honest, or as likely and come first)"
            ),
            (Status::Decided, false) => "left out".to_owned(),
        }
    }

    /// What was seen, and how likely it is from an honest and from a faulty replica.
    fn fit(&self, reason: &ReplicaReason) -> String {
        let right = exact(self.decision.value);
        let faulty = reason.ln_faulty.map_or_else(String::new, figure);
        let Report::Value(value) = reason.report else {
            let honest = reason.ln_likelihood.map_or(0.0, f64::exp);
            return format!(
                "no message came in time; an honest replica is silent with probability {}, a faulty one with {}",
                probability(honest),
                probability(self.silence)
            );
        };
        let seen = match reason.expected {
            Some((mean, sd)) if sd > 0.0 => {
                let away = (value - mean) / sd;
                let place = match figure(away.abs()) {
                    none if none == "0" => "at the mean of".to_owned(),
                    sds if away < 0.0 => format!("{sds} sd below"),
                    sds => format!("{sds} sd above"),
                };
                format!(
                    "its value {} lies {place} what an honest replica reports when {right} is right ({} ± {})",
                    exact(value),
                    figure(mean),
                    figure(sd)
                )
            }
            _ => format!("its value {} stands against {right}", exact(value)),
        };
        match (reason.ln_likelihood, reason.best_fit) {
            (Some(ln), _) => {
                format!("{seen}, log-likelihood {} there; a faulty replica's would be {faulty}", figure(ln))
            }
            (None, Some((at, ln))) => format!(
                "{seen}, which is impossible for an honest one (it would fit best at {}, log-likelihood {}); a faulty \
                 replica's log-likelihood would be {faulty}",
                exact(at),
                figure(ln)
            ),
            (None, None) => format!("{seen}, and no honest replica reports it whatever value is right"),
        }
    }

    fn without(&self, reason: &ReplicaReason) -> String {
        let (now, then) = (&self.decision, &reason.without);
        let value = exact(then.value);
        match (now.status, then.status) {
            (Status::NoQuorum, Status::NoQuorum) => "without it there would be none either".to_owned(),
            (Status::NoQuorum, Status::Decided) => {
                format!(
                    "without it the decision would be {value} with confidence {}",
                    probability(then.confidence)
                )
            }
            (Status::Decided, Status::NoQuorum) => "without it there would be no quorum".to_owned(),
            (Status::Decided, Status::Decided) => {
                let (was, now_confidence) = (probability(then.confidence), probability(now.confidence));
                if then.value != now.value {
                    format!(
                        "without it the decision would be {value} with confidence {was}, not {} with {now_confidence}",
                        exact(now.value)
                    )
                } else if was == now_confidence {
                    format!("without it the decision would be the same, {value} with confidence {was}")
                } else {
                    format!(
                        "without it the decision would be {value} too, with confidence {was} instead of {now_confidence}"
                    )
                }
            }
        }
    }
}
