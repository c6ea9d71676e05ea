//! What must hold for any input: what is written reads back, nothing panics, rounds are what a naive model says.

use centauri_engine::{
    Computation, Distribution, DistributionRef, Family, FaultGroup, Link, ModelSet, Objective, OutputSpec,
    PriorSpec, ReplicaSpec, Report, StreamSpec, Support,
};
use centauri_files::{
    Directory, Format, Reading, ReadingRecord, ReadingWriter, Readings, RoundCollector, Spill,
    collect_rounds, distribution_to_toml, parse_distribution, parse_model, write_model,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn above_0() -> impl Strategy<Value = f64> {
    prop_oneof![1e-9..1e9, Just(0.1), Just(1.0), Just(1e-300), Just(1e300)]
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![-1e9..1e9, Just(-0.0), Just(5e-324), Just(1e21), proptest::num::f64::NORMAL]
}

fn simple() -> impl Strategy<Value = Family> {
    let two = || (any_number(), above_0());
    let both = || (above_0(), above_0());
    prop_oneof![
        two().prop_map(|(mean, sd)| Family::Normal { mean, sd }),
        two().prop_map(|(mu, sigma)| Family::Lognormal { mu, sigma }),
        above_0().prop_map(|mean| Family::Exponential { mean }),
        both().prop_map(|(shape, scale)| Family::Gamma { shape, scale }),
        both().prop_map(|(shape, scale)| Family::Weibull { shape, scale }),
        (-1e6..1e6, 1e-3..1e6)
            .prop_map(|(low, width): (f64, f64)| Family::Uniform { low, high: low + width }),
        two().prop_map(|(mean, scale)| Family::Laplace { mean, scale }),
        two().prop_map(|(mean, scale)| Family::Logistic { mean, scale }),
        (above_0(), two()).prop_map(|(df, (mean, scale))| Family::StudentT { df, mean, scale }),
        above_0().prop_map(|mean| Family::Poisson { mean }),
        (0u64..=1 << 53, 0.0..=1.0).prop_map(|(trials, p)| Family::Binomial { trials, p }),
        (1e-9..=1.0).prop_map(|p| Family::Geometric { p }),
        (above_0(), 1e-9..=1.0).prop_map(|(r, p)| Family::NegativeBinomial { r, p }),
        (-1e3..1e3, vec((0.1..10.0, 0.0..9.0), 1..6)).prop_map(|(first, bins): (f64, Vec<(f64, f64)>)| {
            let mut edges = vec![first];
            edges.extend(bins.iter().scan(first, |edge, (width, _)| {
                *edge += width;
                Some(*edge)
            }));
            Family::Empirical { edges, counts: bins.iter().map(|(_, count)| count + 0.5).collect() }
        }),
    ]
}

fn with_offset(family: impl Strategy<Value = Family>) -> impl Strategy<Value = Distribution> {
    let offset = prop_oneof![Just(0.0), -1e6..1e6];
    (family, offset).prop_filter_map("legal", |(family, offset)| Distribution::new(family, offset).ok())
}

fn distribution() -> impl Strategy<Value = Distribution> {
    let part = || with_offset(simple()).boxed();
    let mixture = vec((0.1..5.0, part()), 1..4).prop_map(|parts: Vec<(f64, Distribution)>| {
        let (weights, components) = parts.into_iter().unzip();
        Family::Mixture { weights, components }
    });
    prop_oneof![3 => part(), 1 => with_offset(mixture)]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[^\\p{Cc}]{1,20}",
        Just("a.b".to_owned()),
        Just("\"'\\ #=;,".to_owned()),
        Just("link".to_owned())
    ]
    .prop_filter("not the flat prior's", |name| name != "uniform")
}

fn link(distribution: BoxedStrategy<DistributionRef>) -> impl Strategy<Value = Option<Link>> {
    prop_oneof![
        Just(None),
        (0.0..=1.0).prop_map(|p| Some(Link::OnTime(p))),
        (distribution, 0.0..9.0).prop_map(|(arrival, deadline)| Some(Link::Latency { arrival, deadline })),
    ]
}

fn messages() -> impl Strategy<Value = Vec<f64>> {
    let regular =
        (1..70u32, 0.0..2.0).prop_map(|(n, period)| (0..n).map(|i| f64::from(i) * period).collect());
    prop_oneof![vec(any_number(), 0..6), regular]
}

/// Two fault groups, of which the second has an odd name; `group` says of each replica in which it is, if in one.
fn grouped(replicas: &[ReplicaSpec], group: &[usize]) -> Vec<FaultGroup> {
    let of = |wanted: usize| (0..replicas.len()).rev().filter(|&at| group[at] == wanted).collect::<Vec<_>>();
    let groups = [("rack", of(0)), ("an odd \"name\"", of(1))].into_iter();
    let some = groups.filter(|(_, members)| !members.is_empty());
    some.map(|(name, members)| FaultGroup { name: name.to_owned(), members }).collect()
}

fn stream(known: Vec<String>) -> impl Strategy<Value = StreamSpec> {
    let inline = distribution().prop_map(DistributionRef::Inline);
    let reference = if known.is_empty() {
        inline.boxed()
    } else {
        prop_oneof![inline, proptest::sample::select(known).prop_map(DistributionRef::Named)].boxed()
    };
    let maybe = || proptest::option::of(reference.clone());
    let prior = prop_oneof![
        Just(PriorSpec::Uniform),
        reference.clone().prop_map(PriorSpec::Fixed),
        (reference.clone(), maybe(), prop_oneof![Just(1e-6), 0.0..=1.0])
            .prop_map(|(step, initial, leak)| PriorSpec::Following { step, initial, leak }),
    ];
    let computation = proptest::sample::select(Computation::ALL.to_vec());
    let output = (computation, messages(), maybe(), 0.0..9.0, (maybe(), maybe()), any::<bool>()).prop_map(
        |(computation, messages, arrival, deadline, (source, noise), timed)| {
            let deadline = (timed || arrival.is_some()).then_some(deadline);
            OutputSpec { computation, messages, arrival, deadline, source, noise }
        },
    );
    let replica = (name(), link(reference.clone()), maybe());
    let replicas = vec(replica, 1..5).prop_map(|replicas| {
        let unique: BTreeMap<_, _> =
            replicas.into_iter().map(|(name, link, noise)| (name, (link, noise))).collect();
        unique
            .into_iter()
            .rev()
            .map(|(name, (link, noise))| ReplicaSpec { name, link, noise })
            .collect::<Vec<_>>()
    });
    let support =
        (-1e3..1e3, 1e-3..10.0, 1usize..=4096).prop_map(|(min, step, n)| Support::new(min, step, n).unwrap());
    let shares = (prop_oneof![Just(0.95), 1e-6..1.0], prop_oneof![Just(0.1), 1e-6..1.0]);
    let objective = proptest::sample::select(Objective::ALL.to_vec());
    let rest = (support, prior, output, link(reference), any::<prop::sample::Index>(), vec(0usize..3, 4));
    (name(), replicas, objective, shares, rest).prop_map(
        |(name, replicas, objective, (credible, silence), (support, prior, output, link, faults, group))| {
            let groups = grouped(&replicas, &group);
            let units = replicas.len() + groups.len() - groups.iter().map(|g| g.members.len()).sum::<usize>();
            let faults = faults.index(units);
            StreamSpec {
                name,
                replicas,
                faults,
                groups,
                objective,
                credible,
                silence,
                support,
                prior,
                output,
                link,
            }
        },
    )
}

fn model() -> impl Strategy<Value = ModelSet> {
    proptest::collection::btree_map(name(), distribution(), 0..4).prop_flat_map(|distributions| {
        let known = distributions.keys().cloned().collect();
        vec(stream(known), 0..3).prop_map(move |streams| {
            let unique: BTreeMap<_, _> =
                streams.into_iter().map(|stream| (stream.name.clone(), stream)).collect();
            ModelSet { distributions: distributions.clone(), streams: unique.into_values().collect() }
        })
    })
}

const VALID: &str = include_str!("valid.toml");

/// A change of valid text: bytes overwritten, cut out or put in, or a piece of it said twice.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = [
        "[", "]", "{", "}", "\"", "=", "-", "1e999", "nan", ".", "\n", "'''", "#", "\u{0}", "é", "true", ", ",
    ];
    let edit = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..4,
        proptest::sample::select(pieces.to_vec()),
    );
    vec(edit, 1..4).prop_map(|edits| {
        let mut text: Vec<char> = VALID.chars().collect();
        for (a, b, kind, piece) in edits {
            let (a, b) = (a.index(text.len()), b.index(text.len()));
            let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 40));
            match kind {
                0 => drop(text.drain(from..to)),
                1 => drop(text.splice(from..from, piece.chars())),
                2 => drop(text.splice(from..to, piece.chars())),
                _ => {
                    let again: Vec<char> = text[from..to].to_vec();
                    drop(text.splice(to..to, again));
                }
            }
            if text.is_empty() {
                text.push(' ');
            }
        }
        text.into_iter().collect()
    })
}

fn directory() -> Directory {
    let replicas = |n: usize| (0..n).map(|i| format!("r{i},\"\u{e9}")).collect();
    [("z".to_owned(), replicas(3)), ("a b".to_owned(), replicas(1)), ("é\"".to_owned(), replicas(5))]
        .into_iter()
        .collect()
}

type Row = (usize, i64, usize, Option<f64>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![Just(None), (0..3).prop_map(|v| Some(f64::from(v))), any_number().prop_map(Some)];
    let row = (0usize..3, prop_oneof![0i64..4, any::<i64>()], any::<prop::sample::Index>(), value);
    vec(row, 0..60).prop_map(|rows| {
        let of = |stream: usize| [3, 1, 5][stream];
        rows.into_iter()
            .map(|(stream, round, replica, value)| (stream, round, replica.index(of(stream)), value))
            .collect()
    })
}

fn written(format: Format, rows: &[Row], directory: &Directory) -> Vec<u8> {
    let mut writer = ReadingWriter::new(format, Vec::new());
    for &(stream, round, replica, value) in rows {
        let (name, replica) = (directory.name(stream).unwrap(), &directory.replicas(stream)[replica]);
        writer.write(&ReadingRecord { stream: name, round, replica, value }).unwrap();
    }
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn distributions_round_trip(distribution in distribution()) {
        let text = distribution_to_toml(&distribution);
        prop_assert_eq!(parse_distribution(&text).map_err(|e| e.to_string()), Ok(distribution), "{}", text);
    }

    #[test]
    fn models_round_trip(set in model()) {
        let text = write_model(&set);
        prop_assert_eq!(parse_model(&text, "m").map_err(|e| e.to_string()), Ok(set), "{}", text);
    }

    #[test]
    fn mutated_models_are_read_or_told_in_one_line(text in mutated()) {
        match parse_model(&text, "m.toml") {
            Ok(set) => {
                let again = parse_model(&write_model(&set), "m");
                prop_assert_eq!(again.map_err(|e| e.to_string()), Ok(set));
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("m.toml:") && !message.contains(char::is_control), "{}", message);
                let lines = text.split('\n').count() as u64;
                prop_assert!(error.line().is_some_and(|line| (1..=lines).contains(&line)), "{}", message);
            }
        }
    }

    #[test]
    fn random_text_is_no_model_and_no_panic(text in ".{0,200}", inline in "[{}\\[\\]=,\"a-z0-9. \n]{0,60}") {
        let _ = parse_model(&text, "m");
        let _ = parse_distribution(&inline);
    }

    #[test]
    fn readings_round_trip_and_make_the_rounds_of_a_naive_model(rows in rows()) {
        let directory = directory();
        for format in [Format::Csv, Format::JsonLines, Format::Parquet] {
            let bytes = written(format, &rows, &directory);
            let read = || Readings::new(format, bytes.as_slice(), "r", &directory).unwrap();
            let found: Vec<_> = read().map(|row| row.map(|r| (r.stream, r.round, r.replica, r.value)).unwrap()).collect();
            prop_assert_eq!(&found, &rows);
            let lines: Vec<_> = read().map(|row| row.unwrap().line).collect();
            let first = match format { Format::Csv => 2, Format::JsonLines => 1, _ => 0 };
            prop_assert_eq!(lines, (first..).take(rows.len()).collect::<Vec<u64>>());
            let rounds = collect_rounds(read(), &directory).unwrap().map(Result::unwrap);
            let rounds: Vec<_> = rounds.map(|r| ((directory.name(r.stream).unwrap(), r.round), r.reports)).collect();
            prop_assert_eq!(rounds, naive(&rows, &directory));
        }
    }

    /// Rounds are the same, whether rows stay in memory or go to a disk, a few of them at a time or one by one.
    #[test]
    fn rounds_are_the_same_through_a_disk(rows in rows(), in_order in any::<bool>(), memory_rows in 0usize..40) {
        let directory = directory();
        let mut rows = rows;
        if in_order {
            rows.sort_by_key(|&(stream, round, ..)| (directory.name(stream).unwrap().to_owned(), round));
        }
        let spill = Spill { memory_bytes: memory_rows * 36, ..Spill::default() };
        let mut collector = RoundCollector::with_spill(&directory, spill);
        for (&(stream, round, replica, value), line) in rows.iter().zip(0..) {
            collector.push(&Reading { stream, round, replica, value, line }).unwrap();
        }
        let mut rounds = collector.finish().unwrap();
        prop_assert_eq!(rounds.rows(), rows.len() as u64);
        let found: Vec<_> = rounds.by_ref().map(Result::unwrap).map(|r| ((directory.name(r.stream).unwrap(), r.round), r.reports)).collect();
        prop_assert_eq!(rounds.rows_read(), rows.len() as u64);
        prop_assert_eq!(found, naive(&rows, &directory));
    }

    /// What another writer of CSV makes of the rows reads the same.
    #[test]
    fn csv_of_another_writer_reads_the_same(rows in rows(), always in any::<bool>(), crlf in any::<bool>()) {
        let directory = directory();
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().quote_style(style).terminator(end).from_writer(Vec::new());
        writer.write_record(["value", "replica", "stream", "round"]).unwrap();
        for &(stream, round, replica, value) in &rows {
            let value = value.map_or(String::new(), |value| value.to_string());
            let round = round.to_string();
            let names = [directory.replicas(stream)[replica].as_str(), directory.name(stream).unwrap()];
            writer.write_record([&value, names[0], names[1], &round]).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let found = Readings::new(Format::Csv, bytes.as_slice(), "r", &directory).unwrap();
        let found: Vec<_> = found.map(|row| row.map(|r| (r.stream, r.round, r.replica, r.value)).unwrap()).collect();
        prop_assert_eq!(found, rows);
    }

    #[test]
    fn random_bytes_are_told_in_one_line(noise in vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), rows in rows()) {
        let directory = directory();
        for format in [Format::Csv, Format::JsonLines] {
            let mut bytes = written(format, &rows, &directory);
            let at = at.index(bytes.len() + 1);
            drop(bytes.splice(at..at, noise.iter().copied()));
            for input in [&bytes, &noise] {
                let readings = Readings::new(format, input.as_slice(), "r", &directory);
                if let Err(error) = readings.and_then(|readings| collect_rounds(readings, &directory)) {
                    let message = error.to_string();
                    prop_assert!(message.starts_with("r:") && !message.contains(char::is_control), "{}", message);
                    let lines = input.split(|&byte| byte == b'\n').count() as u64;
                    prop_assert!(error.line().is_some_and(|line| (1..=lines).contains(&line)), "{}", message);
                }
            }
        }
    }
}

/// Rounds by a map of maps, in the words of the format's definition.
fn naive<'d>(rows: &[Row], directory: &'d Directory) -> Vec<((&'d str, i64), Vec<Report>)> {
    type Values = BTreeMap<usize, Vec<f64>>;
    let mut rounds: BTreeMap<(&str, i64), (usize, Values)> = BTreeMap::new();
    for &(stream, round, replica, value) in rows {
        let entry = rounds.entry((directory.name(stream).unwrap(), round)).or_default();
        entry.0 = stream;
        entry.1.entry(replica).or_default().extend(value);
    }
    let report = |values: Option<&Vec<f64>>| match values.map_or(&[][..], Vec::as_slice) {
        [] => Report::Missing,
        [first, rest @ ..] if rest.iter().all(|value| value == first) => Report::Value(*first),
        _ => Report::Equivocated,
    };
    let reports = |(stream, values): (usize, Values)| {
        (0..directory.replicas(stream).len()).map(|replica| report(values.get(&replica))).collect()
    };
    rounds.into_iter().map(|(key, round)| (key, reports(round))).collect()
}
