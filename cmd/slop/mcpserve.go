package main

type mcpServeCmd struct{}

func (mcpServeCmd) Run(c *console) error { return nil }
