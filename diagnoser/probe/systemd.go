package probe

import (
	"strings"
)

// unitEnvironment is what a systemd service unit and its drop-ins say about the
// environment (systemd.exec(5), "Environment=" and "EnvironmentFile=").
type unitEnvironment struct {
	vars  []string // "KEY=value", later ones override
	files []string // environment files, without the leading "-"
}

// apply reads one file of the unit. An empty assignment resets what earlier
// files set.
func (u *unitEnvironment) apply(b []byte) {
	section := ""
	for _, line := range joinLines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "[Service]" {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "Environment":
			if value == "" {
				u.vars = nil
			}
			for _, word := range splitWords(value) {
				if strings.Contains(word, "=") {
					u.vars = append(u.vars, strings.ReplaceAll(word, "%%", "%"))
				}
			}
		case "EnvironmentFile":
			if value == "" {
				u.files = nil
			} else {
				u.files = append(u.files, strings.TrimPrefix(value, "-"))
			}
		}
	}
}

// joinLines undoes continuation by a backslash at the end of a line.
// Comment lines in between are passed over (systemd.syntax(7)).
func joinLines(s string) []string {
	var lines []string
	var open strings.Builder
	going := false
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); going && trimmed != "" && (trimmed[0] == '#' || trimmed[0] == ';') {
			continue
		}
		if body, more := strings.CutSuffix(line, `\`); more {
			open.WriteString(body + " ")
			going = true
			continue
		}
		open.WriteString(line)
		lines = append(lines, open.String())
		open.Reset()
		going = false
	}
	if going {
		lines = append(lines, open.String())
	}
	return lines
}

// splitWords splits at blanks and takes quotation marks and backslashes away.
func splitWords(s string) []string {
	var words []string
	var word strings.Builder
	var quote byte
	in := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			in = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if in {
				words = append(words, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words
}

// parseEnvFile reads an environment file: assignments, with or without
// "export", values bare or quoted.
func parseEnvFile(b []byte) []string {
	var vars []string
	for _, line := range joinLines(string(b)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); !ok || key == "" || strings.ContainsAny(key, " \t") {
			continue
		}
		if words := splitWords(strings.TrimSpace(value)); len(words) > 0 {
			value = words[0]
		} else {
			value = ""
		}
		vars = append(vars, key+"="+value)
	}
	return vars
}
