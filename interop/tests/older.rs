//! The client that `wadm` 0.21 uses drives a host through every call that it has.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use interop::{Lattice, PATIENCE, guest};
use wasmcloud_control_interface_2::{ClientBuilder, CtlResponse, Link};

type Response<T> = Result<CtlResponse<T>, Box<dyn std::error::Error + Send + Sync>>;

#[track_caller]
fn yes<T>(response: Response<T>) -> Option<T> {
    let response = response.unwrap();
    assert!(response.succeeded(), "{}", response.message());
    response.into_data()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_before_this_one_drives_a_host_too() {
    let lattice = Lattice::new(true);
    let mut running = lattice.host("orchard", true);
    let client = ClientBuilder::new(lattice.nats().await).auction_timeout(Duration::from_millis(700)).build();
    let hosts = client.get_hosts().await.unwrap();
    let id = hosts[0].data().unwrap().id().to_owned();
    let none = BTreeMap::<String, String>::new;
    let until = async |what: &str, holds: fn(&[String], &[String]) -> bool| {
        let start = Instant::now();
        loop {
            let inventory = yes(client.get_host_inventory(&id).await).unwrap();
            let components: Vec<_> =
                inventory.components().iter().map(|one| one.image_ref().to_owned()).collect();
            let providers: Vec<_> = inventory.providers().iter().map(|one| one.id().to_owned()).collect();
            if holds(&components, &providers) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{what}: {components:?} {providers:?}");
        }
    };

    let auctioned = client.perform_component_auction(&guest("hello"), "hello", none()).await.unwrap();
    assert_eq!(auctioned[0].data().unwrap().host_id(), id);
    let builtin = "wasmcloud+builtin://http-server";
    let auctioned = client.perform_provider_auction(builtin, "server", none()).await.unwrap();
    assert_eq!(auctioned[0].data().unwrap().host_id(), id);

    let values = HashMap::from([("name".to_owned(), "orchard".to_owned())]);
    yes(client.put_config("greeting", values.clone()).await);
    let start = Instant::now();
    while yes(client.get_config("greeting").await) != Some(values.clone()) {
        assert!(start.elapsed() < PATIENCE);
    }
    yes(client.scale_component(&id, &guest("hello"), "hello", 3, None, vec!["greeting".to_owned()]).await);
    until("it runs", |components, _| components.iter().any(|image| image.ends_with("/hello.wasm"))).await;
    yes(client.update_component(&id, "hello", &guest("hello_again"), None).await);
    until("it is updated", |components, _| {
        components.iter().any(|image| image.ends_with("/hello_again.wasm"))
    })
    .await;
    yes(client.start_provider(&id, builtin, "server", None, vec![]).await);
    until("it is provided", |_, providers| providers == ["server"]).await;
    let link = Link::builder().source_id("server").target("hello").name("default").wit_namespace("wasi");
    let link = link.wit_package("http").interfaces(vec!["incoming-handler".to_owned()]).build().unwrap();
    yes(client.put_link(link).await);
    let start = Instant::now();
    while yes(client.get_links().await).unwrap().iter().all(|link| link.target() != "hello") {
        assert!(start.elapsed() < PATIENCE);
    }
    yes(client.delete_link("server", "default", "wasi", "http").await);
    yes(client.put_label(&id, "row", "7").await);
    assert_eq!(yes(client.get_host_inventory(&id).await).unwrap().labels()["row"], "7");
    yes(client.delete_label(&id, "row").await);
    assert!(yes(client.get_claims().await).is_some());
    yes(client.delete_config("greeting").await);
    client.put_registries(HashMap::new()).await.unwrap();
    yes(client.stop_provider(&id, "server").await);
    yes(client.scale_component(&id, &guest("hello_again"), "hello", 0, None, vec![]).await);
    until("all is stopped", |components, providers| {
        providers.is_empty() && components.iter().all(|image| image.starts_with("abide+object://"))
    })
    .await;
    yes(client.stop_host(&id, None).await);
    assert_eq!(running.exit_code(), Some(0));
}
