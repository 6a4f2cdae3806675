//! What a request asks for, by its method and path: the names by which fault rules, counters and the OpenAPI document
//! call it. Knows nothing of how it is answered.

use axum::http::Method;

/// One operation of the API.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Operation {
    /// As the OpenAPI document has it.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// A segment in braces stands for any text.
    pub(super) path: &'static str,
}

/// What is none of the table: it is not found, or its method is not allowed.
pub(super) const UNKNOWN: Operation = Operation { name: "unknown", method: Method::GET, path: "" };

const fn row(name: &'static str, method: Method, path: &'static str) -> Operation {
    Operation { name, method, path }
}

/// Every operation, but for those of the admin door. The first one that fits counts.
pub(super) const OPERATIONS: [Operation; 49] = [
    row("list_versions", Method::GET, "/"),
    row("show_version", Method::GET, "/V1.0"),
    row("add_metric_data", Method::POST, "/V1.0/{project_id}/metric-data"),
    row("query_metric_data", Method::GET, "/V1.0/{project_id}/metric-data"),
    row("batch_query_metric_data", Method::POST, "/V1.0/{project_id}/batch-query-metric-data"),
    row("list_metrics", Method::GET, "/V1.0/{project_id}/metrics"),
    row("show_quotas", Method::GET, "/V1.0/{project_id}/quotas"),
    row("list_alarms", Method::GET, "/V1.0/{project_id}/alarms"),
    row("create_events", Method::POST, "/V1.0/{project_id}/events"),
    row("list_events", Method::GET, "/V1.0/{project_id}/events"),
    row("list_event_details", Method::GET, "/V1.0/{project_id}/event/{event_name}"),
    row("list_event_data", Method::GET, "/V1.0/{project_id}/event-data"),
    row("show_identity_version", Method::GET, "/v3"),
    row("create_token", Method::POST, "/v3/auth/tokens"),
    row("show_token", Method::GET, "/v3/auth/tokens"),
    row("list_projects", Method::GET, "/v3/projects"),
    row("list_own_projects", Method::GET, "/v3/auth/projects"),
    row("list_domains", Method::GET, "/v3/auth/domains"),
    row("show_catalog", Method::GET, "/v3/auth/catalog"),
    row("list_services", Method::GET, "/v3/services"),
    row("list_endpoints", Method::GET, "/v3/endpoints"),
    row("revoke_token", Method::DELETE, "/v3/auth/tokens"),
    row("list_backup_policies", Method::GET, "/v2/{project_id}/backuppolicy"),
    row("create_backup_policy", Method::POST, "/v2/{project_id}/backuppolicy"),
    row("list_backup_policy_tags", Method::GET, "/v2/{project_id}/backuppolicy/tags"),
    row("query_backup_policies", Method::POST, "/v2/{project_id}/backuppolicy/resource_instances/action"),
    row("update_backup_policy", Method::PUT, "/v2/{project_id}/backuppolicy/{policy_id}"),
    row("delete_backup_policy", Method::DELETE, "/v2/{project_id}/backuppolicy/{policy_id}"),
    row("execute_backup_policy", Method::POST, "/v2/{project_id}/backuppolicy/{policy_id}/action"),
    row("list_backup_tasks", Method::GET, "/v2/{project_id}/backuppolicy/{policy_id}/backuptasks"),
    row("show_backup_policy_tags", Method::GET, "/v2/{project_id}/backuppolicy/{policy_id}/tags"),
    row("add_backup_policy_tag", Method::POST, "/v2/{project_id}/backuppolicy/{policy_id}/tags"),
    row("change_backup_policy_tags", Method::POST, "/v2/{project_id}/backuppolicy/{policy_id}/tags/action"),
    row("delete_backup_policy_tag", Method::DELETE, "/v2/{project_id}/backuppolicy/{policy_id}/tags/{key}"),
    row("associate_resources", Method::POST, "/v2/{project_id}/backuppolicyresources"),
    row("disassociate_resources", Method::POST, "/v2/{project_id}/backuppolicyresources/{policy_id}/deleted_resources"),
    row("create_backup", Method::POST, "/v2/{project_id}/cloudbackups"),
    row("show_backup_quotas", Method::GET, "/v2/{project_id}/cloudbackups/quota"),
    row("list_backups_v2", Method::GET, "/v2/{project_id}/backups"),
    row("list_backup_details_v2", Method::GET, "/v2/{project_id}/backups/detail"),
    row("show_backup_v2", Method::GET, "/v2/{project_id}/backups/{backup_id}"),
    row("delete_backup_v2", Method::DELETE, "/v2/{project_id}/backups/{backup_id}"),
    row("list_backups", Method::GET, "/v3/{project_id}/backups"),
    row("list_backup_details", Method::GET, "/v3/{project_id}/backups/detail"),
    row("show_backup", Method::GET, "/v3/{project_id}/backups/{backup_id}"),
    row("delete_backup", Method::DELETE, "/v3/{project_id}/backups/{backup_id}"),
    row("list_volumes", Method::GET, "/v2/{project_id}/volumes"),
    row("show_job", Method::GET, "/v1/{project_id}/jobs/{job_id}"),
    row("show_job_v2", Method::GET, "/v2/{project_id}/jobs/{job_id}"),
];

/// What is asked for with or without a slash at its end.
const VERSIONS: [&str; 2] = ["/V1.0", "/v3"];

/// The operation of a request.
pub(super) fn find(method: &Method, path: &str) -> &'static Operation {
    static TABLE: [Operation; 49] = OPERATIONS;
    static OTHER: Operation = UNKNOWN;

    // Whoever asks for a head only asks for the same.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let path = path.strip_suffix('/').filter(|short| VERSIONS.contains(short)).unwrap_or(path);
    TABLE.iter().find(|each| each.method == *method && fits(each.path, path)).unwrap_or(&OTHER)
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_method_and_path() {
        let table = [
            (Method::POST, "/V1.0/p/metric-data", "add_metric_data"),
            (Method::GET, "/V1.0/p/metric-data", "query_metric_data"),
            (Method::HEAD, "/V1.0/p/metric-data", "query_metric_data"),
            (Method::GET, "/v3/", "show_identity_version"),
            (Method::POST, "/v2/p/backuppolicy/resource_instances/action", "query_backup_policies"),
            (Method::POST, "/v2/p/backuppolicy/1/action", "execute_backup_policy"),
            (Method::GET, "/v3/p/backups/detail", "list_backup_details"),
            (Method::GET, "/v3/p/backups/1", "show_backup"),
            (Method::PUT, "/V1.0/p/metric-data", "unknown"),
            (Method::GET, "/V1.0//metric-data", "unknown"),
            (Method::GET, "/V1.0/p/metric-data/", "unknown"),
            (Method::GET, "/V1.0/p/q/metric-data", "unknown"),
        ];
        for (method, path, name) in table {
            assert_eq!(find(&method, path).name, name, "{method} {path}");
        }
    }

    #[test]
    fn the_document_and_the_table_know_the_same_operations() {
        // Goal: a name in a fault rule or a counter is one of the document. Method: both as lists, but for the admin's.
        let document: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).expect("JSON");
        let mut told = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("an object") {
            for (method, about) in methods.as_object().expect("an object") {
                if crate::server::face::Face::of(path) != crate::server::face::Face::Admin {
                    let name = about["operationId"].as_str().expect("each has one");
                    told.push((name.to_owned(), method.to_uppercase(), path.clone()));
                }
            }
        }
        told.sort();
        let known = OPERATIONS.map(|each| (each.name.to_owned(), each.method.to_string(), each.path.to_owned()));
        let mut known = known.to_vec();
        known.sort();
        assert_eq!(told, known);
    }

    #[test]
    fn every_route_is_in_the_document() {
        // Goal: nothing is answered that the document does not tell. Method: the routes as the sources name them.
        let document: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).expect("JSON");
        let sources = [
            include_str!("admin/mod.rs"),
            include_str!("keystone/mod.rs"),
            include_str!("cloudeye/mod.rs"),
            include_str!("vbs/mod.rs"),
        ];
        let routes = sources.iter().flat_map(|source| source.split(".route(\"").skip(1));
        let routes: Vec<&str> = routes.filter_map(|rest| rest.split('"').next()).collect();
        assert!(routes.len() > 50, "they were found: {routes:?}");
        for route in routes {
            let path = route.strip_suffix('/').filter(|short| VERSIONS.contains(short)).unwrap_or(route);
            // What only says what is wrong with the address is no route.
            assert!(route.contains("//") || document["paths"].get(path).is_some(), "{route}");
        }
    }
}
