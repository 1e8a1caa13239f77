//! What an instance is shown as: the SOP Instance UID that it was filed with, or the one that the operation on it gave it.

/// The SOP Instance UID that an instance `i` is shown with.
macro_rules! shown_uid {
    () => {
        "CASE WHEN i.correction IS NULL THEN i.uid ELSE coalesce((SELECT ci.new_uid FROM correction_instances ci
            WHERE ci.correction = i.correction AND ci.instance = i.id), i.uid) END"
    };
}

/// A subselect of the `id` of the instance that is shown, or hidden, under a SOP Instance UID; one at most.
macro_rules! shown_as {
    ($uid:literal) => {
        concat!(
            "SELECT x.id FROM instances x WHERE x.uid = ",
            $uid,
            " AND (x.correction IS NULL OR NOT EXISTS (SELECT 1 FROM correction_instances cx
                WHERE cx.correction = x.correction AND cx.instance = x.id AND cx.new_uid IS NOT NULL))
             UNION ALL
             SELECT x.id FROM correction_instances cx CROSS JOIN instances x ON x.id = cx.instance
             WHERE cx.new_uid = ",
            $uid,
            " AND x.correction = cx.correction"
        )
    };
}

pub(in crate::catalog) use {shown_as, shown_uid};
