//! Many streams, few models: what is shared, and what a published distribution touches.

use centauri_engine::*;
use std::collections::BTreeMap;

const STREAMS: usize = 100_000;
const MODELS: usize = 50;

/// Every model has a noise of its own name; every second one follows the common step.
fn set() -> ModelSet {
    let mut set = ModelSet::default();
    set.distributions.insert("step".to_owned(), Distribution::laplace(0.0, 1.0).unwrap());
    for kind in 0..MODELS {
        let noise = Distribution::normal(0.0, 1.0 + kind as f64).unwrap();
        set.distributions.insert(format!("noise-{kind}"), noise);
    }
    set.streams = (0..STREAMS)
        .map(|i| {
            let kind = i % MODELS;
            let prior =
                if kind.is_multiple_of(2) { PriorSpec::following("step") } else { PriorSpec::Uniform };
            StreamSpec::builder(
                format!("stream/{i}"),
                (0..4).map(|r| format!("replica-{}", (i / 1_000 + r) % 90)),
            )
            .faults(1)
            .support(Support::new(0.0, 1.0, 64).unwrap())
            .prior(prior)
            .output(OutputSpec::identity(format!("noise-{kind}").as_str()))
            .build()
        })
        .collect();
    set
}

#[test]
fn a_hundred_thousand_streams_hold_fifty_models() {
    let fleet = Fleet::compile(&set()).unwrap();
    assert_eq!(fleet.streams().len(), STREAMS);
    assert_eq!(fleet.models(), MODELS);
    let one = Fleet::compile(&ModelSet { streams: set().streams[..1].to_vec(), ..set() }).unwrap();
    assert_eq!(fleet.table_bytes(), MODELS * one.table_bytes());
    // A stream of its own: name, place in the index, model, and a pointer to names that many streams share.
    assert!(size_of::<Stream>() + size_of::<StreamId>() <= 48, "{}", size_of::<Stream>());
    for i in [0, 1, 49, 50, 77_777, STREAMS - 1] {
        let id = fleet.stream_id(&format!("stream/{i}")).unwrap();
        assert_eq!(id, StreamId(i as u32));
        assert_eq!(fleet.stream(id).unwrap().model(), ModelId((i % MODELS) as u32));
    }
    assert_eq!(fleet.stream_id("stream/100000"), None);
}

#[test]
fn a_published_distribution_recompiles_only_what_names_it() {
    let fleet = Fleet::compile(&set()).unwrap();
    let publish =
        |name: &str, d: Distribution| fleet.published(&BTreeMap::from([(name.to_owned(), d)])).unwrap();
    let changed = |new: &Fleet| -> Vec<usize> {
        let same = |k: &usize| {
            std::ptr::eq(fleet.model(ModelId(*k as u32)).unwrap(), new.model(ModelId(*k as u32)).unwrap())
        };
        (0..MODELS).filter(|k| !same(k)).collect()
    };
    let wide = Distribution::normal(0.0, 9.0).unwrap();
    assert_eq!(changed(&publish("noise-7", wide.clone())), [7]);
    assert_eq!(changed(&publish("step", wide.clone())), (0..MODELS).step_by(2).collect::<Vec<_>>());
    assert!(changed(&publish("nobody's", wide.clone())).is_empty());

    // What is recompiled is what would have been compiled from the start.
    let new = publish("noise-7", wide.clone());
    let mut from_the_start = set();
    from_the_start.distributions.insert("noise-7".to_owned(), wide);
    let expected = Fleet::compile(&from_the_start).unwrap();
    let row = |fleet: &Fleet| {
        let mut row = vec![0.0; 64];
        fleet.model(ModelId(7)).unwrap().likelihood(2, Observation::Bin(30), &mut row);
        row
    };
    assert_eq!(row(&new), row(&expected));
    assert_ne!(row(&new), row(&fleet));
}

#[test]
fn a_fleet_is_swapped_in_between_rounds_and_the_prior_goes_on() {
    let fleet = Fleet::compile(&set()).unwrap();
    let mut session = Session::new(fleet, Box::new(ScalarBackend::new()));
    let stream = StreamId(0);
    let reports = [30.0, 31.0, 30.0, 60.0].map(Report::Value);
    session.push(stream, 1, &reports).unwrap();
    let before = session.flush().unwrap().decision(0).sd;
    let narrow = Distribution::normal(0.0, 0.4).unwrap();
    let fleet = session.fleet().published(&BTreeMap::from([("noise-0".to_owned(), narrow)])).unwrap();
    session.swap(fleet);
    session.push(stream, 2, &reports).unwrap();
    let after = session.flush().unwrap().decision(0).sd;
    assert!(after < before, "{after} {before}");
    assert!(matches!(session.push(stream, 2, &reports), Err(SessionError::Order { .. })));
}

#[test]
fn a_publication_that_does_not_compile_leaves_everything_as_it_was() {
    let mut set = set();
    set.streams.truncate(3);
    let mut mean = OutputSpec::new(Computation::Mean);
    mean.messages = vec![0.0];
    mean.source = Some("noise-0".into());
    set.streams[0].output = mean;
    let fleet = Fleet::compile(&set).unwrap();
    let heavy = Distribution::student_t(1.5, 0.0, 1.0).unwrap();
    let error = fleet.published(&BTreeMap::from([("noise-0".to_owned(), heavy)])).unwrap_err();
    assert_eq!(error.stream, "stream/0");
    assert_eq!(error.key, "output.source");
}
