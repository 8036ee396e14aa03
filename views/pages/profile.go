package pages

func (p ProfileFormPage) action() string {
	if p.Profile == nil {
		return p.In.NewProfile()
	}
	return p.In.Profile(p.Profile.ID)
}
