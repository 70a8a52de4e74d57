package topology

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean is an appendix for a message about an unknown word: the valid word
// that is closest, or nothing when none is close.
func didYouMean(word string, valid []string) string {
	if best := closest(word, valid); best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	return ""
}

// closest is the valid word with the smallest edit distance, at most a third of
// the word's length (but at least 2). Case counts less than letters. Equal
// distances are decided by order.
func closest(word string, valid []string) string {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, v := range valid {
		d := distance(strings.ToLower(word), strings.ToLower(v))
		if d < bestDistance {
			best, bestDistance = v, d
		}
	}
	return best
}

// distance is the Damerau-Levenshtein distance (optimal string alignment): a
// transposition of neighbours, the commonest slip, counts once.
func distance(a, b string) int {
	// A long word costs len(a)*len(b) steps and is no typing slip.
	if len(a) > 128 || len(b) > 128 {
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// oneOf lists valid words for a message: "a, b or c".
func oneOf(valid []string) string {
	quoted := make([]string, len(valid))
	for i, v := range valid {
		quoted[i] = v
		if v == "" || strings.ContainsAny(v, " ,") {
			quoted[i] = fmt.Sprintf("%q", v)
		}
	}
	switch len(quoted) {
	case 0:
		return "nothing"
	case 1:
		return quoted[0]
	}
	last := len(quoted) - 1
	return strings.Join(slices.Clone(quoted[:last]), ", ") + " or " + quoted[last]
}

// DidYouMean is ", did you mean \"x\"?" for the closest of some words, or empty
// when none is close.
func DidYouMean(word string, words []string) string { return didYouMean(word, words) }
