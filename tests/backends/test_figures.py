from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.backends.figures import figure_for, in_bold


@pytest.mark.parametrize(
    ("question", "text", "figure"),
    [
        # What is counted stands behind its figure.
        ("How many GPUs were used?", "It trains 100B parameters on 400 GPUs. [1]", "400"),
        ("How many layers does it have?", "A model of 7B with 24 layers and 8 heads.", "24"),
        # The unit that is asked for.
        ("How many layers does it have?", "It is a 12-layer model of 3 parts.", "12"),
        ("How fast is Lantern?", "With 67M parameters it is 1.68times faster.", "1.68times"),
        ("What accuracy is reached?", "It is 2x faster at 82.47% accuracy.", "82.47%"),
        ("How long does training take?", "Training 3 models took 11 hours.", "11 hours"),
        # Thousands belong to the figure.
        ("How many samples are used?", "It uses 1.4k samples and 3 seeds.", "1.4k"),
        ("What dose?", "25(OH)D after a dose of 800 IU", "800"),
        ("How many images are there?", "over 100{,}000 images of 3 suns", "100{,}000"),
        # Beside a figure of the question, or what it names.
        ("What share is solved with 250 tries?", "from 15% with one to 56% with 250", "56%"),
        ("What fps on the CPU?", "178 fps on a GPU and 27 fps on the CPU", "27 fps"),
        ("How many FLOPs does it save?", "a 36.9% reduction in FLOPs", "36.9%"),
        ("How many test cases come with it?", "432 tasks and 2,071 test cases", "2,071"),
        ("What does it cost?", "a cost of $118,000 in 3 years", "$118,000"),
        # What is slower says nothing of how much faster.
        ("How much faster is it?", "10x slower than now. It speeds this up 5x.", "5x"),
        # A range is one figure.
        ("What speedup is reported?", "a speedup from 2.91x to 3.51x", "2.91x to 3.51x"),
        ("What speedup is reported?", "speedups of 2.8x-5.8x [2]", "2.8x-5.8x"),
        ("How much does it shrink?", "reducing its size by 32--60\\%", "32--60\\%"),
        # By the measure that is named, or its initials.
        ("What is the hazard ratio?", "(hazard ratio, 0.73; 95% CI, 0.58 to 0.92)", "0.73"),
        ("What is the hazard ratio?", "lower by 23% (HR = 0.77, 95% CI: 0.6-0.9)", "0.77"),
        ("What is the average concordance index?", "88% of 90 with a C-index of 0.816", "0.816"),
        ("odds ratio for stroke", "ORs of 1.54 (1.06-2.23) for stroke", "1.54"),
        ("What is the hazard ratio?", "odds ratio 2.1 and hazard ratio 1.4", "1.4"),
        (
            "whats the mean age of patients",
            "49 patients (32 men; mean age 58.3 years)",
            "58.3 years",
        ),
        ("What is the mean age?", "mean age of the 529 respondents was 40.3 years", "40.3 years"),
        ("How old were they?", "232 patients (age 37 years, 46% had AIDS)", "37 years"),
        (
            "What F1 score is reached?",
            "accuracy of 0.99, recall of 0.98, and an F1 of 0.97",
            "0.97",
        ),
        ("What SSIM is reached?", "30.7 dB PSNR and 0.86 SSIM", "0.86"),
        ("At what sparsity is the speedup measured?", "a 2x speedup at 74% sparsity", "74%"),
        ("What is the response rate?", "survival of 82%; the response rate was 54%", "54%"),
        ("mIoU on Cities", "77.4% mIoU at 102 FPS on Cities", "77.4%"),
        # A measure stands before all its figures; what each is of stands beside it.
        ("What is the prevalence in men?", "a prevalence of 14% in women and 19% in men", "19%"),
        ("What is the odds ratio for falls?", "strokes (OR, 3.1) and falls (OR, 8.5)", "8.5"),
        (
            "What accuracy does it reach on Cars?",
            "accuracy from 80.6 to 84.6 on Birds and from 65 to 68 on Cars",
            "65 to 68",
        ),
        # Whole figures.
        ("What is the mean age?", "a mean age of 58.3 ± 19 years", "58.3 ± 19 years"),
        ("What is the median survival?", "a median survival of 2·3 months", "2·3 months"),
        ("How many patients are positive?", "60/232 patients are positive", "60/232"),
        ("How many patients responded?", "75 of 159 patients responded", "75 of 159"),
        ("What is the effect size?", "an effect size of -0.35", "-0.35"),
        ("What correlation is found?", "a correlation of .45 with age", ".45"),
        # What comes along with a figure, where that is asked for.
        ("What is the p value?", "a hazard ratio of 0.88 (p=0.41)", "0.41"),
        ("What is the confidence level?", "0.88 at a confidence level of 95%", "95%"),
        # Not what is gained, and the nearest where there are several.
        ("What accuracy is reached on Cars?", "59.5% on Birds, 67.1% (+5.3%) on Cars", "67.1%"),
        ("What is the error rate?", "by 12% to an error rate of 3%", "3%"),
        # How much more there is, not how much, and of the measure that is named.
        ("How much does it improve F1?", "improves recall by 20.4% and F1 by 18.2%", "18.2%"),
        ("By how much does it raise F1?", "gains of 6.5% in recall, 5.6% in F1", "5.6%"),
        (
            "How much better is it in F1?",
            "by 9.1 points in recall and 8.5 points in F1",
            "8.5 points",
        ),
        ("By how much did weight fall?", "lowered weight by 3.4 kg in 118 adults", "3.4 kg"),
        ("How much does it improve R2?", "R2 rose from 0.68 to 0.75 in 40 trials", "0.68 to 0.75"),
        ("By how much does it beat Elm?", "97.8% accuracy, beating Elm by 5.2%", "5.2%"),
        ("By how much did deaths fall?", "a 49.2 % (8,553 vs 4,214) drop in deaths", "49.2 %"),
        ("How much cheaper is it?", "It is 40% cheaper than Elm 3.1.", "40%"),
        ("How much recall does it get?", "84% precision and 91% recall", "91%"),
        ("What recall does it get?", "0.95 precision, 0.94 recall, 0.96 F1", "0.94"),
        (
            "How much does it lower the risk?",
            "a lower risk (risk ratio 0.21 (95% CI 0.10 to 0.43))",
            "0.21",
        ),
        ("How much does it reduce deaths?", "less often fatal (odds ratio, 0.6) in 40 men", "0.6"),
        # Of the name or the sort that is asked for.
        ("How big is Elm-Large?", "Elm-Small (7B) and Elm-Large (70B) models", "70B"),
        (
            "How many active parameters does Elm have?",
            "90 billion parameters (12 billion active)",
            "12 billion",
        ),
        ("How often did they fall?", "Falls occurred in 17% of 40 men.", "17%"),
        # Of the thing in whose clause it stands.
        (
            "How often do patients have headache?",
            "Fever was seen in 61% of patients, headache in 34% and cough in 20%.",
            "34%",
        ),
        ("What is its accuracy on Elm-2?", "95% accuracy on Elm-1 but only 47% on Elm-2", "47%"),
        ("What AUC is reached on videos?", "(AUC: 0.80 on frames; 0.81 on videos)", "0.81"),
        ("How much of mortality is due to heat?", "deaths by cold (7%) and by heat (1%)", "1%"),
        (
            "What share of the adults was identified?",
            "it identified 66% of the children <15 years of age but only 23% of the adults",
            "23%",
        ),
        ("What is the rate of hacks without it?", "Without it, the rate of hacks is 88%.", "88%"),
        # A limit is not how much there is.
        (
            "What is the rate ratio of events for use of the drug?",
            "In users of the drug, the adjusted RR was 0.77 (95% CI, 0.63-0.94).",
            "0.77",
        ),
        ("How often was the artery narrow?", "An artery narrowed by > 50% in 12%.", "12%"),
        # By its rate.
        ("How many frames per second does it run?", "a 150-frame film at 47 fps", "47 fps"),
        ("How many FPS does it reach?", "3 frames at 47 frames per second", "47 frames per second"),
        (
            "How much does activity increase?",
            "an increase of activity (2- to 11-fold)",
            "2- to 11-fold",
        ),
    ],
)
def test_the_figure_asked_for_is_found(question: str, text: str, figure: str) -> None:
    found = figure_for(text, question)
    assert found is not None
    assert text[found.start : found.end] == figure
    assert found.fits
    assert f"**{figure}**" in in_bold(text, found)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        # Its own figure answers no question.
        ("How much memory does 4-bit quantization save?", "Models with 4-bit weights do well."),
        ("How much memory do 13B models need?", "Models of 13B parameters need memory."),
        # The number of a citation is no figure.
        ("How many points does it reach?", "It reaches many points. [1]"),
        # Another unit is another thing.
        ("What accuracy does it reach?", "Its accuracy is good, and it is 2x faster."),
        ("How many languages does it cover?", "It covers 3 domains and 40% of the web."),
        # A measure that is named has no figure here.
        ("What is the hazard ratio?", "It reduces the risk of death by 27% in 45 patients."),
        ("mean age of the men", "Men took it (n = 45) or placebo (n = 45)."),
        ("What is the odds ratio for death?", "the hazard ratio for death was 0.73"),
        ("What is the AUC of Lantern?", "Lantern has 520,000 pages of 3059 books."),
        ("What dose of vitamin D is given?", "vitamin D in serum rises with the dose (P < 0.001)"),
        ("What is the mean age?", "(1) mean age and (2) weight are given"),
        ("what's the smallest lamp that beats an oven", "It incorporates 1) a lamp of light."),
        # Which of the two is each?
        ("What is the specificity?", "a sensitivity and specificity of 74.6% and 62.4%"),
        ("What is the prevalence of pain?", "the 6-month prevalence of pain fell"),
        ("How much phenol is found?", "4-OH phenol is found"),
        # The number of a name.
        ("How much cheaper is it than Elm?", "It comes close to Elm Pro 3.1."),
        ("How many patients got the drug?", "The drug was given in Group 2 patients."),
        ("How often does it fail?", "It covers 28 projects."),
        # Of what has the thing.
        ("What accuracy is reached without oil?", "98% accuracy with oil, beating water alone"),
    ],
)
def test_what_answers_nothing_is_no_figure(question: str, text: str) -> None:
    assert figure_for(text, question) is None


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("By how much does it improve accuracy?", "It has 97.8% accuracy and 95% recall."),
        ("How much lower is the cost?", "Costs were lower (754 vs. 1507 Euro)."),
        ("By how much does it improve F1?", "It improves recall by 20% and recovery by 3%."),
        ("How much does it improve F1?", "F1 rose by 9% and 32% on men and women respectively."),
        ("What is the accuracy, top 1?", "It has 66%/92% accuracy."),
    ],
)
def test_no_figure_of_something_else_is_sure(question: str, text: str) -> None:
    found = figure_for(text, question)
    assert found is None or not (found.fits or found.alone)


@given(st.text(max_size=80), st.text(max_size=40))
def test_a_figure_stands_inside_its_text(text: str, question: str) -> None:
    found = figure_for(text, question)
    assert found is None or text[found.start : found.end].strip()


def test_what_a_thing_does_without_is_no_condition_on_its_figures() -> None:
    sentence = "It decodes 3.1x faster on summaries."
    figure = figure_for(sentence, "How much faster does drafting without a draft model decode?")
    assert figure is not None
    assert figure.fits
