//! What components and the host are to each other, from the packages in `wit/`.

wasmtime::component::bindgen!({
    path: ["../../wit/wasi-keyvalue", "../../wit/wasmcloud-messaging"],
    inline: "
        package abide:host;
        world capabilities {
            import wasi:keyvalue/store@0.2.0-draft;
            import wasi:keyvalue/atomics@0.2.0-draft;
            import wasi:keyvalue/batch@0.2.0-draft;
            import wasmcloud:messaging/consumer@0.2.0;
        }
    ",
    imports: { default: async | trappable },
    with: {
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
