-- +goose Up

-- A LoRaWAN message finds its device by its EUI where no slug is the device's id.
CREATE INDEX devices_dev_eui ON devices (project_id, dev_eui) WHERE dev_eui <> '' AND deleted_at = 0;
