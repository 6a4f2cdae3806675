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

/// Every operation, but for those of the admin door.
pub(super) const OPERATIONS: [Operation; 18] = [
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
    row("show_identity_version", Method::GET, "/v3"),
    row("create_token", Method::POST, "/v3/auth/tokens"),
    row("show_token", Method::GET, "/v3/auth/tokens"),
    row("list_projects", Method::GET, "/v3/projects"),
    row("list_own_projects", Method::GET, "/v3/auth/projects"),
    row("list_domains", Method::GET, "/v3/auth/domains"),
    row("show_catalog", Method::GET, "/v3/auth/catalog"),
    row("revoke_token", Method::DELETE, "/v3/auth/tokens"),
];

/// The operation of a request.
pub(super) fn find(method: &Method, path: &str) -> &'static Operation {
    static TABLE: [Operation; 18] = OPERATIONS;
    static OTHER: Operation = UNKNOWN;

    // Whoever asks for a head only asks for the same.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let path = match path.strip_suffix('/') {
        Some(short) if short == "/v3" => short,
        _ => path,
    };
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
            (Method::PUT, "/V1.0/p/metric-data", "unknown"),
            (Method::GET, "/V1.0//metric-data", "unknown"),
            (Method::GET, "/V1.0/p/metric-data/", "unknown"),
            (Method::GET, "/V1.0/p/q/metric-data", "unknown"),
        ];
        for (method, path, name) in table {
            assert_eq!(find(&method, path).name, name, "{method} {path}");
        }
    }
}
