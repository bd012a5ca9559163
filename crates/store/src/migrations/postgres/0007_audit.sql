-- Lines of the audit log are records of a kind of their own (core/audit.rs), whose changes come one after the other, too.
INSERT INTO tasklane.records_versions VALUES (4, 0) ON CONFLICT (kind) DO NOTHING;
