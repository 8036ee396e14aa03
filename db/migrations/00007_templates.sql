-- What a template puts into a webhook. The URL and the paths keep a mask in the
-- place of each secret; the secrets themselves stand here, encrypted.

-- +goose Up
ALTER TABLE webhooks ADD COLUMN hidden BLOB NOT NULL DEFAULT x''; -- JSON: {place: [secret]}, sealed
ALTER TABLE webhooks ADD COLUMN template_fields BLOB NOT NULL DEFAULT x''; -- JSON: {field: {value, secret}}, sealed
