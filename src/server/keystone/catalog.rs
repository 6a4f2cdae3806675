//! The service catalogue: under which types clients look for the faces of this server. Pure.

use serde_json::{Value, json};

/// What stands in the catalogue: the type that a client looks up, and the path, behind which the project stands if it ends
/// with `/`.
const SERVICES: [(&str, &str); 6] = [
    // otcextensions
    ("ces", "/V1.0/"),
    ("vbs", "/v2/"),
    // huaweicloud-sdk-python
    ("cesv1", "/V1.0/"),
    ("vbsv2", "/v2/"),
    // gophertelekomcloud, which makes Cloud Eye's address out of this one
    ("volumev2", "/v2/"),
    // the openstack command
    ("identity", "/v3"),
];

/// The whole of it, as a log-in gives it.
pub(super) fn catalog(origin: &str, project: &str, region: &str) -> Value {
    let service = |(kind, path)| json!({ "type": kind, "id": kind, "name": kind, "endpoints": [endpoint(kind, path, origin, project, region)] });
    SERVICES.into_iter().map(service).collect()
}

/// The services alone.
pub(super) fn services_of() -> Value {
    SERVICES.into_iter().map(|(kind, _)| json!({ "id": kind, "type": kind, "name": kind, "enabled": true })).collect()
}

/// The endpoints alone.
pub(super) fn endpoints_of(origin: &str, project: &str, region: &str) -> Value {
    SERVICES.into_iter().map(|(kind, path)| endpoint(kind, path, origin, project, region)).collect()
}

fn endpoint(kind: &str, path: &str, origin: &str, project: &str, region: &str) -> Value {
    let url = if path.ends_with('/') { format!("{origin}{path}{project}") } else { format!("{origin}{path}") };
    json!({
        "id": format!("{kind}-public"),
        "service_id": kind,
        "interface": "public",
        "enabled": true,
        "region": region,
        "region_id": region,
        "url": url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_clients_look_up_leads_to_its_face() {
        // auth-and-clients 3.1.
        let catalog = catalog("http://h:1", "p", "eu-de");
        for (kind, url) in [
            ("ces", "http://h:1/V1.0/p"),
            ("cesv1", "http://h:1/V1.0/p"),
            ("vbs", "http://h:1/v2/p"),
            ("vbsv2", "http://h:1/v2/p"),
            ("volumev2", "http://h:1/v2/p"),
            ("identity", "http://h:1/v3"),
        ] {
            let service = catalog.as_array().expect("a list").iter().find(|each| each["type"] == kind).expect(kind);
            let endpoint = &service["endpoints"][0];
            assert_eq!((&endpoint["url"], &endpoint["region"]), (&json!(url), &json!("eu-de")), "{kind}");
            assert_eq!(endpoint["interface"], "public");
        }
        let (services, endpoints) = (services_of(), endpoints_of("http://h:1", "p", "eu-de"));
        for (place, service) in catalog.as_array().expect("a list").iter().enumerate() {
            assert_eq!(services[place]["id"], endpoints[place]["service_id"], "the parts belong together");
            assert_eq!(endpoints[place], service["endpoints"][0]);
        }
    }
}
