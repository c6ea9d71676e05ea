//! The results for a terminal.

use crate::report::text::{clip, number, percent};
use crate::result::{By, Growth, Instructions, Line, Speed, SpeedWork};
use std::fmt::Write as _;

/// The results as text.
#[must_use]
pub fn of(lines: &[Line]) -> String {
    let mut text = String::new();
    let (mut work, mut growth_begun, mut counts_begun) = (None, false, false);
    for line in lines {
        match line {
            Line::Run(run) => {
                let quick = if run.quick { ", quick" } else { "" };
                let _ = writeln!(text, "centauri-bench eval: seed {}{quick}\n{}", run.seed, run.machine);
            }
            Line::Speed(speed) => {
                if work != Some(&speed.work) {
                    work = Some(&speed.work);
                    let _ = write!(text, "\n{}\n{HEAD}", work_name(&speed.work));
                }
                row(&mut text, speed);
            }
            Line::Growth(growth) => {
                if !growth_begun {
                    text.push_str("\nGrowth of processor time: the exponent p of time ∝ sizeᵖ\n");
                    growth_begun = true;
                }
                growth_row(&mut text, growth);
            }
            Line::Instructions(counted) => {
                if !counts_begun {
                    text.push_str("\nInstructions of a decision (callgrind)\n");
                    counts_begun = true;
                }
                instructions_row(&mut text, counted);
            }
            // What other commands measure.
            Line::Accuracy(_)
            | Line::Influence(_)
            | Line::Stream(_)
            | Line::Reading(_)
            | Line::Route(_)
            | Line::Ingest(_)
            | Line::Fleet(_) => {}
        }
    }
    text
}

const HEAD: &str =
    "  backend                threads   decisions/s    on the wall  spread   × scalar   differ  digest\n";

fn work_name(work: &SpeedWork) -> String {
    let region = if work.region { ", with the region" } else { "" };
    format!(
        "{}: {} streams, n = {}, f = {}, {} points, {}{region}",
        work.name, work.streams, work.n, work.f, work.points, work.objective
    )
}

/// Backend and level, short.
#[must_use]
pub fn name(by: &By) -> String {
    let level = by.level.as_ref().map_or_else(String::new, |level| format!(" {level}"));
    clip(&format!("{}{level}", by.backend), 22)
}

fn row(text: &mut String, speed: &Speed) {
    let differ = speed
        .agreement
        .map_or_else(|| "–".to_owned(), |agreement| format!("{}/{}", agreement.different, agreement.rounds));
    let _ = writeln!(
        text,
        "  {:<22} {:>7} {:>13} {:>14} {:>5.1} % {:>10} {:>8}  {}",
        name(&speed.by),
        speed.by.threads,
        rate(speed.decisions_per_cpu_s),
        rate(speed.decisions_per_wall_s),
        speed.spread * 100.0,
        speed.against_scalar.map_or_else(|| "–".to_owned(), number),
        differ,
        clip(&speed.digest, 16)
    );
    if let Some(settled) = speed.settled {
        let _ = writeln!(
            text,
            "    settled in float32 {}, in float64 {}, by the scalar code {}",
            percent(settled.float32),
            percent(settled.float64),
            percent(settled.scalar)
        );
    }
}

/// A rate with three digits that count, and commas.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if !(0.0..1e15).contains(&per_second) {
        return "–".to_owned();
    }
    let unit = 10_f64.powf((per_second.max(1.0).log10().floor() - 2.0).max(0.0));
    let digits = ((per_second / unit).round() * unit).round().to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn growth_row(text: &mut String, growth: &Growth) {
    let (first, last) = (growth.times_us.first(), growth.times_us.last());
    let span = first.zip(last).map_or_else(String::new, |(first, last)| {
        format!("{} … {}: {} … {} µs", first.0, last.0, number(first.1), number(last.1))
    });
    let _ = writeln!(
        text,
        "  {:<22} {:<9} {:<8} p = {:>5.2} ± {:.2}   {span} ({})",
        name(&growth.by),
        growth.objective,
        growth.against,
        growth.exponent,
        growth.exponent_se,
        growth.fixed
    );
}

fn instructions_row(text: &mut String, counted: &Instructions) {
    let region = if counted.work.region { " with the region" } else { "" };
    let _ = writeln!(
        text,
        "  {:<22} {:<18} {:>12}",
        name(&counted.by),
        format!("{}{region}", clip(&counted.work.name, 8)),
        rate(counted.per_decision)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits_that_count() {
        for (value, expected) in
            [(3_014_159.0, "3,010,000"), (21_049.0, "21,000"), (999.6, "1,000"), (16.4, "16"), (0.0, "0")]
        {
            assert_eq!(rate(value), expected);
        }
        assert_eq!(rate(f64::INFINITY), "–");
    }
}
