package db

import (
	"context"
	"time"

	"thingpost/internal/iot"
)

// Day is what a device sent on one day (UTC).
type Day struct {
	At       iot.Instant
	Messages int64
}

const deviceDayQuery = `SELECT messages FROM device_days WHERE day_at = $1 AND device_id = $2`

// DeviceDays returns how much a device sent on each of the last days, ending with the
// current one. The figures may be ten seconds old with 50,000 devices, else two.
func (d *DB) DeviceDays(ctx context.Context, device int64, days int) ([]Day, error) {
	list := make([]Day, days)
	today := iot.Instant(dayOf(device, iot.At(d.now())).at)
	for i := range list {
		list[i].At = today.Add(-time.Duration(days-1-i) * 24 * time.Hour)
		err := d.tables(ctx).QueryRowContext(ctx, deviceDayQuery, int64(list[i].At), device).Scan(&list[i].Messages)
		if err != nil && !isNoRow(err) {
			return nil, translate("read a device's days", err)
		}
	}
	return list, nil
}
