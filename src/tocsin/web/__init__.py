"""The dashboard: pages, their JSON and CSV twins, and who may see them.

Pages know the model and the ports only; `runtime` passes everything else in as a `Site`.
"""
