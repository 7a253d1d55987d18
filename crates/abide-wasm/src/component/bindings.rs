//! What components and the host are to each other, from the packages in `wit/`.

wasmtime::component::bindgen!({
    path: [
        "../../wit/abide-object",
        "../../wit/wasi-io",
        "../../wit/wasi-blobstore",
        "../../wit/wasi-keyvalue",
        "../../wit/wasmcloud-messaging",
    ],
    inline: "
        package abide:host;
        world capabilities {
            import abide:object/client@0.1.0;
            import wasi:blobstore/blobstore@0.2.0-draft;
            import wasi:keyvalue/store@0.2.0-draft;
            import wasi:keyvalue/atomics@0.2.0-draft;
            import wasi:keyvalue/batch@0.2.0-draft;
            import wasmcloud:messaging/consumer@0.2.0;
        }
    ",
    imports: { default: async | trappable },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:blobstore/container.container": crate::component::blobstore::Container,
        "wasi:blobstore/container.stream-object-names": crate::component::blobstore::Listing,
        "wasi:blobstore/types.incoming-value": crate::component::blobstore::Incoming,
        "wasi:blobstore/types.outgoing-value": crate::component::blobstore::Outgoing,
        "wasi:keyvalue/store.bucket": crate::component::keyvalue::Opened,
    },
});

pub(crate) mod handlers {
    wasmtime::component::bindgen!({
        path: "../../wit/wasmcloud-messaging",
        world: "handlers",
        exports: { default: async },
    });
}
