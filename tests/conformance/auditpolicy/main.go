// The API server's own reading of audit policies, for comparison.
//
// Reads one JSON document per line, {"policy": TEXT, "requests": [...]}, and answers each with
// one line: the error or the warning that the API server would log, and one decision per
// request: [level, omitted stages, omit managed fields, number of the matching rule or 0].
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	auditapi "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"
)

type request struct {
	Verb        string   `json:"verb"`
	APIGroup    string   `json:"api_group"`
	Resource    *string  `json:"resource"`
	Subresource string   `json:"subresource"`
	Name        string   `json:"name"`
	Namespace   string   `json:"namespace"`
	User        *string  `json:"user"`
	Groups      []string `json:"groups"`
	Path        string   `json:"path"`
}

type question struct {
	Policy   string    `json:"policy"`
	Requests []request `json:"requests"`
}

type answer struct {
	Error     string   `json:"error"`
	Warning   string   `json:"warning"`
	Decisions [][4]any `json:"decisions"`
}

func (r request) attributes() authorizer.Attributes {
	attributes := authorizer.AttributesRecord{
		Verb:            r.Verb,
		Path:            r.Path,
		ResourceRequest: r.Resource != nil,
	}
	if r.Resource != nil {
		attributes.APIGroup = r.APIGroup
		attributes.Resource = *r.Resource
		attributes.Subresource = r.Subresource
		attributes.Name = r.Name
		attributes.Namespace = r.Namespace
	}
	if r.User != nil {
		attributes.User = &user.DefaultInfo{Name: *r.User, Groups: r.Groups}
	}
	return attributes
}

// strictWarning returns what strict decoding objects to; the API server logs it and goes on.
func strictWarning(text []byte) string {
	decoder := serializer.NewCodecFactory(audit.Scheme, serializer.EnableStrict).UniversalDecoder()
	_, _, err := decoder.Decode(text, nil, &auditapi.Policy{})
	if err != nil && runtime.IsStrictDecodingError(err) {
		return err.Error()
	}
	return ""
}

// matching returns the number, from 1, of the first rule that matches, judged rule by rule.
func matching(rules []auditapi.PolicyRule, attributes authorizer.Attributes) int {
	for index, rule := range rules {
		rule.Level = auditapi.LevelRequestResponse
		only := &auditapi.Policy{Rules: []auditapi.PolicyRule{rule}}
		config := policy.NewPolicyRuleEvaluator(only).EvaluatePolicyRule(attributes)
		if config.Level == auditapi.LevelRequestResponse {
			return index + 1
		}
	}
	return 0
}

func judge(asked question) answer {
	found := answer{Decisions: [][4]any{}}
	loaded, err := policy.LoadPolicyFromBytes([]byte(asked.Policy))
	if err != nil {
		found.Error = err.Error()
		return found
	}
	found.Warning = strictWarning([]byte(asked.Policy))
	evaluator := policy.NewPolicyRuleEvaluator(loaded)
	for _, one := range asked.Requests {
		attributes := one.attributes()
		config := evaluator.EvaluatePolicyRule(attributes)
		stages := []string{}
		for _, stage := range config.OmitStages {
			stages = append(stages, string(stage))
		}
		slices.Sort(stages)
		number := matching(loaded.Rules, attributes)
		found.Decisions = append(found.Decisions,
			[4]any{config.Level, slices.Compact(stages), config.OmitManagedFields, number})
	}
	return found
}

func main() {
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	encoder := json.NewEncoder(output)
	for {
		var asked question
		err := input.Decode(&asked)
		if err == io.EOF {
			return
		}
		if err == nil {
			err = encoder.Encode(judge(asked))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
